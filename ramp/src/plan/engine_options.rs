//! Engine options: which option of the command line applies to which engine.

use ramp_format::plan::EngineKind;

use crate::cli::RunArgs;

/// Options that do not apply to all engines, and those that they apply to.
const APPLIES: &[(&str, &[EngineKind])] = &[
    ("budget", &[EngineKind::Local]),
    ("runtime", &[EngineKind::Podman, EngineKind::Kubernetes]),
    ("mix", &[EngineKind::Kubernetes, EngineKind::Simulated]),
    ("socket", &[EngineKind::Podman]),
    ("namespace", &[EngineKind::Kubernetes]),
    ("context", &[EngineKind::Kubernetes]),
    ("world", &[EngineKind::Simulated]),
    // Processes end with ramp, and so does a simulated cluster.
    ("keep", &[EngineKind::Podman, EngineKind::Kubernetes]),
];

/// Those of `plan` and `run` that are given.
pub(crate) fn given(args: &RunArgs) -> [(&'static str, bool); 8] {
    [
        ("budget", args.budget.is_some()),
        ("runtime", args.runtime.is_some()),
        ("mix", !args.mix.is_empty()),
        ("socket", args.socket.is_some()),
        ("namespace", args.namespace.is_some()),
        ("context", args.context.is_some()),
        ("world", args.world.is_some()),
        ("keep", args.keep),
    ]
}

/// # Errors
/// Where an option is given that does not apply to the engine. `is_chosen` is whether that was named.
pub(crate) fn check(
    engine: EngineKind,
    is_chosen: bool,
    given: impl IntoIterator<Item = (&'static str, bool)>,
) -> Result<(), String> {
    for option in given.into_iter().filter_map(|(option, is_given)| is_given.then_some(option)) {
        let row = APPLIES.iter().find(|(name, _)| *name == option);
        let Some((_, engines)) = row.filter(|(_, engines)| !engines.contains(&engine)) else { continue };
        let names = engines.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" or ");
        let default = if is_chosen { "" } else { ", the default here" };
        return Err(format!("--{option} applies to --engine {names}, not to {engine}{default}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::{Cli, Command};

    /// Options of `plan` and `run` that apply to all engines.
    const OF_ALL: &[&str] = &[
        "manifest",
        "engine",
        "from",
        "to",
        "step",
        "pace",
        "step_timeout",
        "settle",
        "hold",
        "down",
        "stop",
        "note",
        "beyond",
        "search",
        "serve",
        "precision",
        "out",
        "label",
        "memory",
        "force",
        "json",
        "resume",
    ];

    fn args(words: &[&str]) -> RunArgs {
        match Cli::try_parse_from([&["ramp", "run"], words].concat()).unwrap().command {
            Command::Run(args) => args,
            command => panic!("{command:?}"),
        }
    }

    #[test]
    fn each_option_applies_to_all_engines_or_has_a_row_and_its_help_names_them() {
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        let options: BTreeSet<&str> = run.get_arguments().map(|arg| arg.get_id().as_str()).collect();
        let rows = APPLIES.iter().map(|(option, _)| *option);
        assert_eq!(options, OF_ALL.iter().copied().chain(rows).collect(), "an option without a row");
        assert_eq!(
            given(&args(&[])).map(|(option, _)| option).to_vec(),
            APPLIES.iter().map(|row| row.0).collect::<Vec<_>>()
        );
        for (option, engines) in APPLIES {
            let option = run.get_arguments().find(|arg| arg.get_id() == option).unwrap();
            let help = option.get_help().unwrap().to_string();
            assert!(engines.iter().all(|engine| help.contains(engine.name())), "{help}");
        }
    }

    #[test]
    fn an_option_of_another_engine_is_refused_and_one_of_this_engine_is_not() {
        for (option, engines) in APPLIES {
            let flag = format!("--{option}");
            let words = if *option == "keep" { vec![flag.as_str()] } else { vec![flag.as_str(), "1G"] };
            let given = given(&args(&words));
            assert_eq!(given.iter().filter(|(_, is_given)| *is_given).count(), 1, "{option}");
            for engine in EngineKind::ALL {
                let refused = check(engine, true, given).err();
                assert_eq!(refused.is_none(), engines.contains(&engine), "{option} {engine}: {refused:?}");
            }
        }
        let refused = check(EngineKind::Local, false, given(&args(&["--runtime", "kata"]))).unwrap_err();
        assert_eq!(
            refused,
            "--runtime applies to --engine podman or kubernetes, not to local, the default here"
        );
    }
}
