//! `ramp report`, of files of the study and of recorded runs.
