//! `ramp completions` and `ramp man`: files of an installation, from the definition of the command line.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::installation::{CompletionsArgs, DocumentedProgram, ManArgs};
use crate::command_line::documented;
use crate::ui::{error, out};

/// The definition of its command line.
fn definition(program: DocumentedProgram) -> Command {
    match program {
        DocumentedProgram::Ramp => documented(),
        DocumentedProgram::Workload => workload::cli::Args::command(),
    }
}

/// Prints the completion script of a shell.
pub(super) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(args.program), args.program.name(), &mut script);
    printed(&script)
}

/// Writes the manual pages to a directory, or prints that of the program itself.
pub(super) fn man(args: &ManArgs) -> ExitCode {
    match (pages(args.program), &args.directory) {
        (Ok(pages), Some(directory)) => match written(&pages, directory) {
            Ok(()) => ExitCode::SUCCESS,
            Err(cause) => failed(&format!("{}: cannot write the manual pages: {cause}", directory.display())),
        },
        // That of the program comes before those of its subcommands.
        (Ok(pages), None) => printed(pages.first().map_or(&[], |(_, page)| page)),
        (Err(cause), _) => failed(&format!("cannot write the manual pages: {cause}")),
    }
}

/// The pages of a program and of its subcommands, each with the name of its file.
fn pages(program: DocumentedProgram) -> io::Result<Vec<(String, Vec<u8>)>> {
    // `help` has no page.
    let mut command = definition(program).disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    let mut next = vec![&command];
    while let Some(command) = next.pop() {
        let visible: Vec<_> = command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
        next.extend(visible);
        let page = page(program, command);
        let mut text = Vec::new();
        page.render(&mut text)?;
        pages.push((page.get_filename(), text));
    }
    Ok(pages)
}

fn page(program: DocumentedProgram, command: &Command) -> Man {
    // An empty date would be left out, and the version stand in its place.
    let page = Man::new(command.clone()).date(" ").manual("User Commands");
    page.source(format!("{} {}", program.name(), env!("CARGO_PKG_VERSION")))
}

fn written(pages: &[(String, Vec<u8>)], directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    pages.iter().try_for_each(|(name, page)| fs::write(directory.join(name), page))
}

fn printed(text: &[u8]) -> ExitCode {
    out(String::from_utf8_lossy(text).trim_end());
    ExitCode::SUCCESS
}

fn failed(message: &str) -> ExitCode {
    error(message);
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: DocumentedProgram) -> Vec<(String, String)> {
        let pages = pages(program).unwrap();
        pages.into_iter().map(|(name, page)| (name, String::from_utf8(page).unwrap())).collect()
    }

    /// Every option of the commands that `--help` shows.
    fn options(command: &Command) -> Vec<String> {
        let own = command.get_arguments().filter(|argument| !argument.is_hide_set());
        let own = own.filter_map(|argument| argument.get_long()).map(|name| format!("--{name}"));
        let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
        own.chain(visible.flat_map(options)).collect()
    }

    #[test]
    fn every_option_is_in_a_manual_page() {
        for program in [DocumentedProgram::Ramp, DocumentedProgram::Workload] {
            let all: String = of(program).into_iter().map(|(_, page)| page.replace(r"\-", "-")).collect();
            let options = options(&definition(program));
            assert!(options.len() > 20, "{options:?}");
            let missing: Vec<_> =
                options.iter().filter(|option| !all.contains(&format!(r"\fB{option}\fR"))).collect();
            assert_eq!(missing, Vec::<&String>::new());
        }
    }

    #[test]
    fn each_subcommand_has_a_page_of_its_own_and_hidden_ones_have_none() {
        let names: Vec<_> = of(DocumentedProgram::Ramp).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[0], "ramp.1");
        assert!(names.contains(&"ramp-study-run.1".to_owned()), "{names:?}");
        assert!(
            !names.iter().any(|name| name.contains("instance") || name.contains("workload")),
            "{names:?}"
        );
        let (_, page) = &of(DocumentedProgram::Ramp)[0];
        let title = format!(r#".TH ramp 1 " " "ramp {}" "User Commands""#, env!("CARGO_PKG_VERSION"));
        assert!(page.contains(&title), "{page}");
    }
}
