//! Reports of studies.

use super::support::studies::{CRUN, KATA, RUNC, StudyFixture};

#[test]
fn a_study_is_told_of() {
    let place = std::path::Path::new("/tmp/w/page");
    let _ = std::fs::remove_dir_all(place);
    StudyFixture::of_sizes().record(&place.join("sizes"));
    StudyFixture::small().record(&place.join("small"));
    StudyFixture { runtimes: vec![RUNC, CRUN, KATA], blocks: 6, ..StudyFixture::small() }.record(&place.join("three"));
    StudyFixture { runtimes: vec![RUNC], ..StudyFixture::small() }.record(&place.join("one"));
}
