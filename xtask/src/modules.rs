//! Circles between the modules of a crate: files whose imports form a loop.
//!
//! An import counts for the file in which the item is declared: `use` hands it on to the modules below, `pub use` to all, and
//! `pub use` is no import itself. Unit tests in a file do not count.

use std::collections::{BTreeMap, BTreeSet};

/// Segments of a module's path from the root of its crate.
type ModulePath = Vec<String>;

/// What a file says about other modules.
#[derive(Debug, Default)]
struct Imports {
    /// Paths, as they are written.
    paths: Vec<ModulePath>,
    /// Names that `use` and `pub use` hand on, with their paths.
    names: BTreeMap<String, ModulePath>,
}

/// Circles in a crate, each with the modules that form it. `files` are texts by their path below the crate's `src/`.
pub(crate) fn circles(files: &BTreeMap<&str, &str>) -> Vec<Vec<String>> {
    let modules: BTreeMap<ModulePath, Imports> =
        files.iter().map(|(path, text)| (module_path(path), imports(text))).collect();
    let mut uses: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> = BTreeMap::new();
    for (module, found) in &modules {
        let targets = found.paths.iter().filter_map(|path| resolve(&modules, module, path, 0));
        uses.insert(module, targets.filter(|target| *target != module).collect());
    }
    let reach = |from: &ModulePath| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(next) = open.pop() {
            open.extend(uses[next].iter().filter(|target| reached.insert((**target).clone())));
        }
        reached
    };
    let reached: BTreeMap<&ModulePath, BTreeSet<ModulePath>> =
        modules.keys().map(|module| (module, reach(module))).collect();
    let mut circles = BTreeSet::new();
    for module in modules.keys().filter(|module| reached[module].contains(*module)) {
        let circle = modules
            .keys()
            .filter(|other| reached[module].contains(*other) && reached[other].contains(module));
        circles.insert(circle.map(|module| format!("crate::{}", module.join("::"))).collect::<Vec<_>>());
    }
    circles.into_iter().collect()
}

fn module_path(file: &str) -> ModulePath {
    let path = file.trim_end_matches(".rs");
    let segments = path.split('/').filter(|segment| !["lib", "main", "mod"].contains(segment));
    segments.map(str::to_owned).collect()
}

/// The module that declares what a path names; none where it is not of this crate.
fn resolve<'m>(
    modules: &'m BTreeMap<ModulePath, Imports>,
    from: &ModulePath,
    path: &[String],
    depth: usize,
) -> Option<&'m ModulePath> {
    let mut at = from.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => at.clear(),
        "self" => {}
        "super" => {
            at.pop();
        }
        _ if modules.contains_key(&[from.as_slice(), &path[..1]].concat()) => at.push(path[0].clone()),
        _ => return None,
    }
    rest = &rest[1..];
    while let Some((next, behind)) = rest.split_first() {
        if next == "super" {
            at.pop();
        } else if modules.contains_key(&[at.as_slice(), std::slice::from_ref(next)].concat()) {
            at.push(next.clone());
        } else {
            break;
        }
        rest = behind;
    }
    let (module, imports) = modules.get_key_value(&at)?;
    let handed_on = rest.first().and_then(|item| imports.names.get(item)).filter(|_| depth < 8);
    handed_on.and_then(|path| resolve(modules, module, path, depth + 1)).or(Some(module))
}

fn imports(text: &str) -> Imports {
    let code = code_of(text);
    let mut found = Imports::default();
    let mut written = BTreeSet::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find("use ") {
        let is_word = rest[..at].chars().next_back().is_none_or(|before| before.is_whitespace());
        let is_public = rest[..at]
            .trim_end()
            .rsplit(['\n', ';', '}'])
            .next()
            .is_some_and(|line| line.trim_start().starts_with("pub"));
        let Some(end) = rest[at..].find(';') else { break };
        if is_word {
            for path in expanded(&rest[at + 4..at + end]) {
                written.insert(path.clone());
                if let Some(name) = path.last() {
                    found.names.insert(name.clone(), path.clone());
                }
                if !is_public {
                    found.paths.push(path);
                }
            }
        }
        rest = &rest[at + 4..];
    }
    let inline = code.split(|letter: char| !letter.is_alphanumeric() && !['_', ':'].contains(&letter));
    // Within a `use` they have been seen already; a braced one ends with `::`. What begins with a type resolves to no module.
    let inline = inline.filter(|word| word.contains("::") && !word.ends_with("::"));
    found.paths.extend(inline.map(segments).filter(|path| !written.contains(path)));
    found
}

fn segments(path: &str) -> ModulePath {
    path.split("::").map(|segment| segment.trim().to_owned()).filter(|segment| !segment.is_empty()).collect()
}

/// The paths of a `use`, without braces and without other names for them.
fn expanded(tree: &str) -> Vec<ModulePath> {
    let Some(open) = tree.find('{') else {
        return vec![segments(tree.split(" as ").next().unwrap_or(tree))];
    };
    let prefix = segments(&tree[..open]);
    let inner = tree[open + 1..].trim_end().trim_end_matches('}');
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for letter in inner.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.iter_mut().last().into_iter().for_each(|part| part.push(letter));
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    let below = parts.flat_map(expanded).map(|path| if path == ["self"] { Vec::new() } else { path });
    below.map(|path| [prefix.clone(), path].concat()).collect()
}

/// A file without its unit tests, comments and texts.
fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let mut code = String::new();
    for line in text.lines() {
        let mut in_text = false;
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' if in_text => drop(letters.next()),
                '"' => in_text = !in_text,
                '/' if !in_text && letters.peek() == Some(&'/') => break,
                _ if in_text => {}
                letter => code.push(letter),
            }
        }
        code.push('\n');
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&'static str, &'static str)]) -> Vec<Vec<String>> {
        circles(&files.iter().copied().collect())
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let circle = [
            ("a.rs", "use crate::b::{B, C as D};"),
            ("b.rs", "fn f() { super::c::g(); }"),
            ("c.rs", "use crate::a::A;"),
        ];
        assert_eq!(found(&circle), [["crate::a", "crate::b", "crate::c"]]);
        assert_eq!(found(&circle[..2]), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_parent_that_hands_on_what_its_child_declares_does_not_import_it() {
        let child = ("a/b.rs", "use super::A;");
        assert_eq!(
            found(&[("a.rs", "mod b;\npub use b::B;\npub struct A;"), child]),
            Vec::<Vec<String>>::new()
        );
        assert_eq!(
            found(&[("a.rs", "mod b;\nuse b::B;\npub struct A;"), child]),
            [["crate::a", "crate::a::b"]]
        );
        assert_eq!(
            found(&[("a.rs", "mod b;\npub struct A;\nfn f() { b::g(); }"), child]),
            [["crate::a", "crate::a::b"]],
            "a path within the code"
        );
        let handed_down = ("a/b.rs", "use super::C;");
        assert_eq!(
            found(&[("a.rs", "mod b;\nuse crate::c::C;\nfn f() { b::g(); }"), handed_down, ("c.rs", "")]),
            Vec::<Vec<String>>::new()
        );
        let sibling = ("c.rs", "use crate::a::B;");
        let b = ("a/b.rs", "use crate::c::C;");
        assert_eq!(found(&[("a.rs", "pub use b::B;"), b, sibling]), [["crate::a::b", "crate::c"]]);
    }

    #[test]
    fn comments_texts_and_unit_tests_do_not_count() {
        let b = ("b.rs", "use crate::a::A;");
        let a = "// use crate::b::B;\nconst T: &str = \"crate::b\";\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n";
        assert_eq!(found(&[("a.rs", a), b]), Vec::<Vec<String>>::new());
    }
}
