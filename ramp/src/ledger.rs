//! Who is what: turns sightings into transitions, each counted once.
