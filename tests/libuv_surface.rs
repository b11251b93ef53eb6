//! The functions of libuv: each has a verdict (tests/libuv_surface/functions.txt), which the aliases in the sources and
//! the chapter `libuv` of the documentation keep.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// How many functions libuv 1.52 exports.
const FUNCTIONS: usize = 318;

/// Aliases may also be types. These are the ones that do not end in `_t` or `_cb`.
const TYPES: [&str; 11] = [
    "uv_fs_event",
    "uv_fs_event_flags",
    "uv_handle_type",
    "uv_membership",
    "uv_poll_event",
    "uv_process_flags",
    "uv_run_mode",
    "uv_stdio_flags",
    "uv_tcp_flags",
    "uv_tty_vtermstate",
    "uv_udp_flags",
];

/// One function, as the list or the chapter has it.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    group: String,
    name: String,
    /// In the list: `have`, `later`, `std` or `no`. In the chapter, what of this can be seen: `later` or nothing.
    verdict: String,
    text: String,
}

/// An alias in the sources, with the name of the item that has it, unless a macro hides it.
struct Alias {
    name: String,
    item: Option<String>,
    place: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// Lines with a verdict, a name and perhaps a text; groups begin with `# `. What comes before the first is introduction.
fn list() -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut group = None;
    for line in read(&root().join("tests/libuv_surface/functions.txt")).lines() {
        if let Some(title) = line.strip_prefix("# ") {
            group = Some(title.to_string());
        } else if let (Some(group), false) = (&group, line.is_empty()) {
            let (verdict, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let rest = rest.trim_start();
            let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
            entries.push(Entry {
                group: group.clone(),
                name: name.to_string(),
                verdict: verdict.to_string(),
                text: text.trim().to_string(),
            });
        }
    }
    entries
}

/// The rows of the tables that name a function, below headings.
fn chapter() -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut group = String::new();
    for line in read(&root().join("src/libuv.rs")).lines() {
        if let Some(title) = line.strip_prefix("//! # ") {
            group = title.to_string();
        } else if let Some(row) = line.strip_prefix("//! | `uv_") {
            let row = row.strip_suffix(" |").and_then(|row| row.split_once("` | "));
            let (name, cell) = row.unwrap_or_else(|| panic!("not a row of two cells: {line}"));
            let (verdict, text) = match cell.strip_prefix("later: ") {
                Some(text) => ("later", text),
                None => ("", cell),
            };
            entries.push(Entry {
                group: group.clone(),
                name: format!("uv_{name}"),
                verdict: verdict.to_string(),
                text: text.to_string(),
            });
        }
    }
    entries
}

/// All of src/, with its name from the root.
fn sources() -> Vec<(String, String)> {
    fn gather(folder: PathBuf, sources: &mut Vec<(String, String)>) {
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|err| panic!("{}: {err}", folder.display()));
        for path in entries.map(|entry| entry.expect("a folder can be read").path()) {
            if path.is_dir() {
                gather(path, sources);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
                sources.push((name, read(&path)));
            }
        }
    }
    let mut sources = Vec::new();
    gather(root().join("src"), &mut sources);
    sources.sort();
    sources
}

/// The aliases of libuv's names that one line gives.
fn aliases_in(line: &str) -> Vec<&str> {
    if !line.trim_start().starts_with("#[") {
        return Vec::new();
    }
    let alias = line.split_once("doc(alias").map_or("", |(_, alias)| alias);
    alias.split('"').skip(1).step_by(2).filter(|name| name.starts_with("uv_")).collect()
}

/// The name that a line declares, behind `fn`, `struct`, `enum` or `trait`.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.split(|letter: char| !(letter.is_alphanumeric() || "_$".contains(letter)));
    words.find(|word| ["fn", "struct", "enum", "trait"].contains(word))?;
    words.next().filter(|name| !name.starts_with('$'))
}

/// Everything in the sources that libuv's names find.
fn aliases() -> Vec<Alias> {
    let mut aliases = Vec::new();
    for (file, text) in sources() {
        let mut waiting = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let names = aliases_in(line);
            let is_item = !line.trim_start().starts_with(['#', '/']);
            waiting.extend(
                names.into_iter().map(|name| (name.to_string(), format!("{file}:{}", number + 1))),
            );
            if is_item {
                let item = declared(line).map(str::to_string);
                aliases.extend(waiting.drain(..).map(|(name, place)| Alias {
                    name,
                    item: item.clone(),
                    place,
                }));
            }
        }
    }
    aliases
}

/// The text of a cell without its links and marks.
fn plain(cell: &str) -> String {
    let mut text = String::new();
    let mut rest = cell;
    while let Some((before, after)) = rest.split_once(['[', ']']) {
        text.push_str(before);
        let is_end = rest.as_bytes()[before.len()] == b']';
        rest = match after.strip_prefix('(') {
            Some(target) if is_end => target.split_once(')').map_or("", |(_, rest)| rest),
            _ => after,
        };
    }
    text.push_str(rest);
    text.replace('`', "")
}

/// The items that a cell links to, each by the last part of its name.
fn links(cell: &str) -> BTreeSet<&str> {
    cell.split("[`")
        .skip(1)
        .filter_map(|link| link.split_once("`]")?.0.rsplit("::").next())
        .collect()
}

/// Nothing is left out, and nothing is there twice.
#[test]
fn the_list_has_every_function_once() {
    let list = list();
    let mut names = BTreeSet::new();
    for Entry { name, verdict, text, .. } in &list {
        assert!(name.starts_with("uv_"), "no function of libuv: {name}");
        assert!(names.insert(name), "{name} is there twice");
        match verdict.as_str() {
            "have" | "later" => assert_eq!(text, "", "the chapter says what answers {name}"),
            "std" | "no" => assert_ne!(text, "", "{name}: what gives it, or why does nothing?"),
            other => panic!("{name}: {other} is no verdict"),
        }
    }
    assert_eq!(list.len(), FUNCTIONS);
}

/// Who types a function that luvio has into the search of the documentation finds its item.
#[test]
fn every_function_that_is_promised_is_an_alias_in_the_sources() {
    let found: BTreeSet<String> = aliases().into_iter().map(|alias| alias.name).collect();
    let mut missing = list();
    missing.retain(|entry| entry.verdict == "have" && !found.contains(&entry.name));
    let missing: Vec<_> = missing.into_iter().map(|entry| entry.name).collect();
    assert!(missing.is_empty(), "`have`, but no item has these aliases: {missing:?}");
}

/// The list keeps up with the sources.
#[test]
fn every_alias_in_the_sources_is_promised() {
    let verdicts: BTreeMap<String, String> =
        list().into_iter().map(|entry| (entry.name, entry.verdict)).collect();
    let mut wrong = Vec::new();
    for Alias { name, place, .. } in aliases() {
        match verdicts.get(&name).map(String::as_str) {
            Some("have") => {}
            Some("later") => wrong.push(format!("{place}: {name} is there: make it `have`")),
            Some(other) => wrong.push(format!("{place}: {name} is there, not `{other}`")),
            None if name.ends_with("_t") || name.ends_with("_cb") => {}
            None if TYPES.contains(&name.as_str()) => {}
            None => wrong.push(format!("{place}: libuv has no {name}")),
        }
    }
    assert!(wrong.is_empty(), "in the list or in the sources:\n{}", wrong.join("\n"));
}

/// A line "libuv: …" in the documentation of an item and its aliases say the same. (An implementation can have none.)
#[test]
fn a_function_that_an_items_documentation_names_is_its_alias() {
    let functions: BTreeSet<String> = list().into_iter().map(|entry| entry.name).collect();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let mut named = Vec::new();
        let mut aliases = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            if let Some(names) = trimmed.strip_prefix("/// libuv: ") {
                named.extend(
                    names
                        .split('`')
                        .filter(|name| functions.contains(*name))
                        .map(|name| (number + 1, name)),
                );
            }
            aliases.extend(aliases_in(line));
            if !trimmed.starts_with(['#', '/']) {
                named.retain(|(_, name)| !aliases.contains(name));
                if !trimmed.starts_with("impl") {
                    wrong.extend(named.iter().map(|(line, name)| format!("{file}:{line}: {name}")));
                }
                (named, aliases) = Default::default();
            }
        }
    }
    assert!(wrong.is_empty(), "named, but no alias of the item:\n{}", wrong.join("\n"));
}

/// The chapter has the same functions in the same order, with the same answers; and what it links to is what the search
/// finds.
#[test]
fn the_chapter_says_what_the_list_says() {
    let aliases = aliases();
    let (list, chapter) = (list(), chapter());
    let mut wrong = Vec::new();
    for (listed, told) in list.iter().zip(&chapter) {
        let Entry { group, name, verdict, text } = listed;
        assert_eq!((&told.group, &told.name), (group, name), "from here on the order differs");
        let is_told = match verdict.as_str() {
            _ if (told.verdict == "later") != (verdict == "later") => false,
            "have" => {
                // One whose name a macro hides is not known, but is one.
                let links = links(&told.text);
                let mut items = aliases.iter().filter(|alias| alias.name == *name);
                !links.is_empty()
                    && items
                        .any(|alias| alias.item.as_deref().is_none_or(|item| links.contains(item)))
            }
            "later" => !told.text.is_empty(),
            _ => plain(&told.text) == *text,
        };
        if !is_told {
            let told = format!("{} {}", told.verdict, told.text);
            wrong.push(format!("{verdict} {name} {text}\n    but the chapter: {}", told.trim()));
        }
    }
    assert!(
        wrong.is_empty(),
        "the answer must be the same, and that to `have` a link to the item with the alias:\n{}",
        wrong.join("\n")
    );
    assert_eq!(list.len(), chapter.len());
}

/// The parsers know what the files hold.
#[test]
fn the_parsers_see_aliases_items_and_links() {
    assert_eq!(aliases_in(r#"    #[doc(alias = "uv_run")]"#), ["uv_run"]);
    assert_eq!(
        aliases_in(r#"#[doc(alias("uv_ref", "create", "uv_unref"))]"#),
        ["uv_ref", "uv_unref"]
    );
    assert!(aliases_in(r#"// #[doc(alias = "uv_run")]"#).is_empty());
    assert_eq!(declared("    pub fn run_mode(&self, mode: RunMode) -> bool {"), Some("run_mode"));
    assert_eq!(declared("pub struct Tcp(Rc<StreamSocket<Tcp>>);"), Some("Tcp"));
    assert_eq!(declared("        pub struct $hook(Rc<$inner>);"), None);
    assert_eq!(declared("impl AsFd for Loop {"), None);
    assert_eq!(plain("[`a::b`](https://c.d/e), [`f`] and `g`"), "a::b, f and g");
    let of_two = links("[`Tcp::bind`]; in tasks [`sleep`](crate::sleep())");
    assert_eq!(of_two, BTreeSet::from(["bind", "sleep"]));
}
