//! Files of an archive, laid out as below a prefix such as /usr/local.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Outcome, output};

/// Programs of a release.
pub(super) const PROGRAMS: [&str; 2] = ["ramp", "workload"];

/// Documents, by their path from the root of the sources.
const DOCUMENTS: [&str; 5] = ["CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "SECURITY.md"];

/// Where each shell looks for the completion script of a program (`*`), below `share`.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/*"),
    ("zsh", "zsh/site-functions/_*"),
    ("fish", "fish/vendor_completions.d/*.fish"),
];

/// Lays out everything anew. `sources` is the root of the sources; `ramp` is one that runs here: it prints what is made from the
/// definitions of the command lines.
///
/// # Errors
/// Where a file cannot be read or written, or a program fails.
pub(super) fn lay_out(sources: &Path, root: &Path, binaries: &Path, ramp: &Path) -> Outcome {
    let _ = fs::remove_dir_all(root);
    for program in PROGRAMS {
        copy(&binaries.join(program), &place(root, &format!("bin/{program}"))?)?;
    }
    // By this name kubectl finds it.
    let plugin = place(root, "bin/kubectl-ramp")?;
    symlink("ramp", &plugin).map_err(|error| format!("{}: {error}", plugin.display()))?;
    for document in DOCUMENTS {
        copy(&sources.join(document), &place(root, &format!("share/doc/ramp/{document}"))?)?;
    }
    for program in PROGRAMS {
        let of_program = |words: &[&str]| output(Command::new(ramp).args(words).args(["--program", program]));
        of_program(&["man", &root.join("share/man/man1").to_string_lossy()])?;
        for (shell, path) in COMPLETIONS {
            let path = place(root, &format!("share/{}", path.replace('*', program)))?;
            let script = of_program(&["completions", shell])?;
            fs::write(&path, script + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// A path below the root, whose directory is there.
fn place(root: &Path, path: &str) -> Outcome<PathBuf> {
    let path = root.join(path);
    let directory = path.parent().unwrap_or(root);
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(path)
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::copy(from, to).map(drop).map_err(|error| format!("{}: {error}", from.display()))
}
