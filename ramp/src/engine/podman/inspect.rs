//! Containers as the API describes them: inspected, listed and in events.

use std::time::{SystemTime, UNIX_EPOCH};

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum,
    EventMessage,
};
use k8s_openapi::jiff::Timestamp;

use super::container_spec::UID_LABEL;
use crate::engine::kernel_log::KernelLog;
use crate::engine::{ContainerExit, RUN_LABEL};
use ramp_format::state::State;

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContainerActivity {
    /// Created, and not started yet.
    Created,
    /// Running.
    Running,
    /// Exited.
    Ended,
    /// Being removed.
    Leaving,
}

/// A container, inspected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InspectedContainer {
    pub(super) id: String,
    pub(super) run: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) doing: ContainerActivity,
    /// Process id of its first process, while it runs.
    pub(super) pid: Option<i64>,
    /// Time of its latest start, as the engine writes it.
    pub(super) started: Option<String>,
    pub(super) finished: Option<SystemTime>,
    pub(super) exit_status: Option<i64>,
    pub(super) oom_killed: bool,
    pub(super) error: String,
}

impl InspectedContainer {
    pub(super) fn of(answer: &ContainerInspectResponse) -> Self {
        use ContainerStateStatusEnum as Status;
        let state = answer.state.clone().unwrap_or_default();
        let doing = match state.status {
            Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING) => {
                ContainerActivity::Running
            }
            Some(Status::EXITED | Status::DEAD) => ContainerActivity::Ended,
            Some(Status::REMOVING) => ContainerActivity::Leaving,
            Some(Status::CREATED | Status::EMPTY) | None => ContainerActivity::Created,
        };
        let labels = answer.config.as_ref().and_then(|config| config.labels.as_ref());
        Self {
            id: answer.id.clone().unwrap_or_default(),
            run: labels.and_then(|labels| labels.get(RUN_LABEL)).cloned(),
            uid: labels.and_then(|labels| labels.get(UID_LABEL)).cloned(),
            doing,
            pid: state.pid.filter(|pid| *pid > 0),
            started: state.started_at.filter(|text| time(text).is_some()),
            finished: state.finished_at.as_deref().and_then(time),
            exit_status: state.exit_code,
            oom_killed: state.oom_killed == Some(true),
            error: state.error.unwrap_or_default(),
        }
    }

    /// Time of its latest start.
    pub(super) fn started_at(&self) -> Option<SystemTime> {
        self.started.as_deref().and_then(time)
    }

    /// Identifies this start of this container.
    pub(super) fn life(&self) -> String {
        format!("{}/{}", self.id, self.started.as_deref().unwrap_or("never started"))
    }

    /// How it ended. An exit status of 137 is a SIGKILL from any source, and an OOM kill only where the engine or the kernel log says
    /// so: Podman before 4.4 does not tell. `told` is whether the engine has sent an `oom` event.
    pub(super) fn end(&self, told: bool, pid: Option<i64>, log: &mut KernelLog) -> ContainerExit {
        let status = self
            .exit_status
            .map_or_else(|| "exit status unknown".into(), |code| format!("exit status {code}"));
        let killed = self.exit_status == Some(KILLED);
        // Asked in any case, so that a kill of this process is not taken for one of the next.
        let by_kernel = log.has_killed(&self.id, pid);
        let (state, word) = if self.oom_killed || told {
            (State::OomKilled, "OOMKilled, as the engine says".to_owned())
        } else if killed && by_kernel {
            (State::OomKilled, "OOMKilled, as the kernel log says".to_owned())
        } else if killed && !log.is_open() {
            (State::Failed, "Killed, and whether for want of memory is not told".to_owned())
        } else {
            let word = match self.exit_status {
                Some(0) => "Completed",
                Some(KILLED) => "Killed",
                _ => "Error",
            };
            (State::Failed, word.to_owned())
        };
        let error = if self.error.is_empty() { String::new() } else { format!(": {}", self.error) };
        ContainerExit {
            container: self.life(),
            state,
            at: self.finished,
            reason: format!("{word} ({status}){error}"),
        }
    }
}

/// Exit status of a process that was sent SIGKILL.
const KILLED: i64 = 137;

/// A container in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) run: String,
    pub(super) uid: Option<String>,
    pub(super) is_running: bool,
}

impl Listed {
    pub(super) fn of(summary: ContainerSummary) -> Option<Self> {
        let labels = summary.labels.unwrap_or_default();
        Some(Self {
            id: summary.id?,
            name: summary.names?.first()?.trim_start_matches('/').to_owned(),
            run: labels.get(RUN_LABEL).cloned().unwrap_or_default(),
            uid: labels.get(UID_LABEL).cloned(),
            is_running: summary.state == Some(ContainerSummaryStateEnum::RUNNING),
        })
    }
}

/// What happened to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContainerEventKind {
    /// It has been started.
    Started,
    /// Its first process has exited.
    Died,
    /// A process of it has been OOM-killed. Sent by Docker only.
    OutOfMemory,
    /// It has been removed.
    Removed,
}

/// An event of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContainerEvent {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) what: ContainerEventKind,
    pub(super) at: Option<SystemTime>,
}

impl ContainerEvent {
    /// None for an event that does not matter here.
    pub(super) fn of(event: EventMessage) -> Option<Self> {
        let what = match event.action.as_deref()? {
            "start" => ContainerEventKind::Started,
            "die" | "died" => ContainerEventKind::Died,
            "oom" => ContainerEventKind::OutOfMemory,
            // Podman's word and Docker's.
            "remove" | "destroy" => ContainerEventKind::Removed,
            _ => return None,
        };
        let actor = event.actor?;
        let name = actor.attributes.unwrap_or_default().remove("name")?;
        let nanos = event.time_nano.and_then(|nanos| u64::try_from(nanos).ok());
        let at = nanos.map(|nanos| UNIX_EPOCH + std::time::Duration::from_nanos(nanos));
        Some(Self { id: actor.id?, name, what, at })
    }
}

/// A point in time, in UTC from Docker and with the machine's offset in places from Podman; none for the year 1, which stands for
/// never.
fn time(text: &str) -> Option<SystemTime> {
    let time = SystemTime::from(text.parse::<Timestamp>().ok()?);
    Some(time).filter(|time| *time > UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Podman 4.3.1 answers, shortened.
    fn inspected(state: &str) -> InspectedContainer {
        let text = format!(
            r#"{{"Id":"2b5a","Name":"/exp-2","State":{{{state}}},
                 "Config":{{"Labels":{{"ramp/run":"exp","ramp/uid":"u2"}}}}}}"#
        );
        InspectedContainer::of(&serde_json::from_str(&text).unwrap())
    }

    const KILLED_STATE: &str = r#""Status":"exited","Running":false,"OOMKilled":false,"Pid":0,"ExitCode":137,"Error":"",
        "StartedAt":"2026-11-25T05:17:34.380956539Z","FinishedAt":"2026-11-25T05:17:34.408790946Z""#;
    const OOM_LINE: &str = "4,1,9,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/p/libpod-2b5a,\
                            task_memcg=/p/libpod-2b5a,task=workload,pid=30908,uid=65532";

    #[test]
    fn a_container_at_work_has_a_start_and_no_end() {
        let seen = inspected(
            r#""Status":"running","Running":true,"Pid":30833,"ExitCode":0,
               "StartedAt":"2026-11-25T05:17:34.270768498Z","FinishedAt":"0001-01-01T00:00:00Z""#,
        );
        assert_eq!((seen.doing, seen.pid, seen.finished), (ContainerActivity::Running, Some(30833), None));
        assert_eq!(seen.life(), "2b5a/2026-11-25T05:17:34.270768498Z");
        assert_eq!((seen.run.as_deref(), seen.uid.as_deref()), (Some("exp"), Some("u2")));
    }

    #[test]
    fn one_that_was_never_started_is_created() {
        let seen = inspected(r#""Status":"created","StartedAt":"0001-01-01T00:00:00Z""#);
        assert_eq!((seen.doing, seen.started), (ContainerActivity::Created, None));
    }

    #[test]
    fn sigkill_is_an_oom_kill_only_where_engine_or_kernel_says_so() {
        let seen = inspected(KILLED_STATE);
        let end = seen.end(false, None, &mut KernelLog::of_lines(&[]));
        assert_eq!((end.state, end.reason.as_str()), (State::Failed, "Killed (exit status 137)"));
        let end = seen.end(false, None, &mut KernelLog::of_lines(&[OOM_LINE]));
        assert_eq!(end.state, State::OomKilled);
        assert_eq!(end.reason, "OOMKilled, as the kernel log says (exit status 137)");
        let end = seen.end(true, None, &mut KernelLog::of_lines(&[]));
        assert_eq!(end.reason, "OOMKilled, as the engine says (exit status 137)");
        let end = seen.end(false, None, &mut KernelLog::closed());
        assert_eq!(end.state, State::Failed);
        assert_eq!(end.reason, "Killed, and whether for want of memory is not told (exit status 137)");
    }

    #[test]
    fn what_docker_says_itself_is_believed_whatever_the_exit_status() {
        let seen = inspected(
            r#""Status":"exited","OOMKilled":true,"ExitCode":1,"StartedAt":"2026-11-25T05:17:34Z""#,
        );
        assert_eq!(seen.end(false, None, &mut KernelLog::closed()).state, State::OomKilled);
    }

    #[test]
    fn other_ends_are_failures_with_their_status_even_where_others_were_killed() {
        let end = |code: i64| {
            let mut log = KernelLog::of_lines(&[OOM_LINE]);
            let state = KILLED_STATE.replace("137", &code.to_string());
            inspected(&state).end(false, None, &mut log)
        };
        for (code, reason) in [(0, "Completed (exit status 0)"), (3, "Error (exit status 3)")] {
            let end = end(code);
            assert_eq!((end.state, end.reason.as_str()), (State::Failed, reason));
        }
    }

    #[test]
    fn events_name_their_container_and_those_that_change_nothing_are_none() {
        let happening = |action: &str| {
            let text = format!(
                r#"{{"status":"{action}","id":"2b5a","Type":"container","Action":"{action}","Actor":{{"ID":"2b5a",
                    "Attributes":{{"containerExitCode":"137","name":"exp-2","ramp/run":"exp"}}}},"scope":"local",
                    "time":1795583854,"timeNano":1795583854428776700}}"#
            );
            ContainerEvent::of(serde_json::from_str(&text).unwrap())
        };
        let died = happening("die").unwrap();
        assert_eq!(
            (died.id.as_str(), died.name.as_str(), died.what),
            ("2b5a", "exp-2", ContainerEventKind::Died)
        );
        assert_eq!(died.at, time("2026-11-25T05:17:34.428776700Z"));
        assert_eq!(happening("remove").unwrap().what, ContainerEventKind::Removed);
        assert_eq!(happening("destroy").unwrap().what, ContainerEventKind::Removed);
        assert_eq!(happening("cleanup"), None);
    }

    #[test]
    fn times_are_read_with_any_offset_and_the_year_one_is_never() {
        assert_eq!(time("2026-11-25T06:17:34.5+01:00"), time("2026-11-25T05:17:34.5Z"));
        assert_eq!(time("2026-11-25T01:47:34-03:30"), time("2026-11-25T05:17:34Z"));
        for never in ["0001-01-01T00:00:00Z", "", "Z", "+01:00", "now"] {
            assert_eq!(time(never), None, "{never}");
        }
    }
}
