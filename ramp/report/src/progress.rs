//! Progress of a report, for an observer that shows it: bytes read, then figures computed.

use std::fmt;
use std::io::{self, Read};
use std::rc::Rc;

/// What is being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many more bytes of tables were read.
    Read(u64),
    /// A figure is about to be computed.
    Computing {
        /// Which.
        figure: &'static str,
        /// The name of the run, or of the comparison.
        of: String,
        /// Its number, from 1.
        number: usize,
        /// The number of all figures.
        all: usize,
    },
}

/// Observer of a report that is being made. It is called often, and should return at once.
#[derive(Clone)]
pub struct Observer(Rc<dyn Fn(Progress)>);

impl Observer {
    /// An observer that calls this.
    #[must_use]
    pub fn new(observe: impl Fn(Progress) + 'static) -> Self {
        Self(Rc::new(observe))
    }

    pub(crate) fn tell(&self, progress: Progress) {
        (self.0)(progress);
    }

    /// The source with its bytes counted.
    pub(crate) fn counted(&self, source: impl Read + 'static) -> Box<dyn Read> {
        Box::new(CountedRead { source, observer: self.clone() })
    }
}

/// An observer that does nothing.
impl Default for Observer {
    fn default() -> Self {
        Self::new(drop)
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

struct CountedRead<R> {
    source: R,
    observer: Observer,
}

impl<R: Read> Read for CountedRead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.observer.tell(Progress::Read(count as u64));
        Ok(count)
    }
}

/// The figures of a report while they are computed.
pub(crate) struct Figures<'o> {
    observer: &'o Observer,
    begun: usize,
    all: usize,
}

impl<'o> Figures<'o> {
    /// None of `all` is computed yet.
    pub(crate) fn new(observer: &'o Observer, all: usize) -> Self {
        Self { observer, begun: 0, all }
    }

    /// Tells of a figure, and computes it.
    pub(crate) fn compute<T>(&mut self, figure: &'static str, of: &str, compute: impl FnOnce() -> T) -> T {
        self.begun += 1;
        let (number, all) = (self.begun, self.all);
        self.observer.tell(Progress::Computing { figure, of: of.to_owned(), number, all });
        compute()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::dataset::Dataset;
    use crate::report::Report;

    #[test]
    fn every_byte_that_is_read_and_every_figure_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "Iteration,Elapsed,Running\n1,1,1\n2,2,2\n";
        std::fs::write(file.path(), text).unwrap();
        let told: Rc<RefCell<Vec<Progress>>> = Rc::default();
        let its = told.clone();
        let observer = Observer::new(move |progress| its.borrow_mut().push(progress));
        let data = [(); 2].map(|()| Dataset::read_observed(file.path(), &observer).unwrap());
        let bytes: u64 =
            told.take().iter().map(|told| if let Progress::Read(bytes) = told { *bytes } else { 0 }).sum();
        assert_eq!(bytes, 2 * text.len() as u64);
        drop(Report::observed(data.into(), None, &observer));
        let told = told.take();
        let numbers = told.iter().enumerate().map(|(index, told)| match told {
            Progress::Computing { number, all, .. } => (*number == index + 1).then_some(*all),
            Progress::Read(_) => None,
        });
        assert!(numbers.into_iter().all(|all| all == Some(told.len())), "{told:?}");
    }
}
