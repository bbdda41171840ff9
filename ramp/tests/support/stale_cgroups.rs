//! Cleanup of the cgroups of a test that fails, so that it is the only one that does.

/// Removes the cgroups of a run, and the processes in them, when it is dropped by a test that panics.
pub(crate) struct RemovesCgroups(pub(crate) String);

impl Drop for RemovesCgroups {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let run = self.0.clone();
        // The runtime of the test is this thread's, so this one needs another thread.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(ramp::engine::local::clean(Some(&run)))
        });
        // A second panic would abort the test before it is reported.
        drop(removal.join());
    }
}
