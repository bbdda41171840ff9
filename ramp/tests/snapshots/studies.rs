//! Reports of studies.

use ramp_report::study::data::StudyData;

use super::session::Place;
use super::support::studies::StudyFixture;

#[test]
fn a_study_is_told_of() {
    let place = Place::new();
    let t = std::time::Instant::now();
    StudyFixture::of_sizes().record(&place.path().join("study"));
    eprintln!("recorded {:?}", t.elapsed());
    let data = StudyData::read(&place.path().join("study"), &Default::default()).unwrap();
    eprintln!("read {:?}", t.elapsed());
    for run in &data.runs { eprintln!("{} {:?} {:?}", run.directory.display(), run.figures.figures, run.results.estimates.rough_cost.as_ref().map(|c| (c.interval, c.systematic))); }
    for c in data.comparisons() { eprintln!("{:#?}", c); }
    eprintln!("compared {:?}", t.elapsed());
}
