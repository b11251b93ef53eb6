//! The chapter `behaviour` of the documentation and the tests: each statement is shown, and each reference can be looked
//! up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// How many statements each subject has, those that do not apply to luvio included.
const SUBJECTS: [(&str, u32); 16] = [
    ("L", 42),
    ("H", 25),
    ("T", 30),
    ("W", 12),
    ("A", 13),
    ("RD", 26),
    ("WR", 26),
    ("SH", 25),
    ("TC", 29),
    ("LA", 20),
    ("U", 21),
    ("D", 31),
    ("P", 17),
    ("SG", 15),
    ("Y", 19),
    ("Z", 15),
];

/// The chapter, by its numbers.
struct Chapter {
    statements: BTreeSet<String>,
    not_applicable: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn chapter_file() -> PathBuf {
    root().join("src/behaviour.rs")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// Statements are list items that begin with a bold number, those that do not apply begin with a plain one.
fn chapter() -> Chapter {
    let mut chapter = Chapter { statements: BTreeSet::new(), not_applicable: BTreeSet::new() };
    for line in read(&chapter_file()).lines() {
        let Some(item) = line.strip_prefix("//! - ") else { continue };
        let (list, name) = match item.strip_prefix("**") {
            Some(bold) => (&mut chapter.statements, bold.split("**").next()),
            None => (&mut chapter.not_applicable, item.split(':').next()),
        };
        let name = name.filter(|name| is_reference(name));
        let name = name.unwrap_or_else(|| panic!("an item without a number: {item}"));
        assert!(list.insert(name.to_string()), "{name} is there twice");
    }
    chapter
}

/// True for what looks like the number of a statement: `WR-07`, but also `WR-7` or `X-07`, which would be mistakes.
fn is_reference(word: &str) -> bool {
    word.split_once('-').is_some_and(|(subject, number)| {
        (1..=2).contains(&subject.len())
            && subject.bytes().all(|byte| byte.is_ascii_uppercase())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The statements that a test names: those in the first line of its documentation, before the colon.
fn references(doc: &str) -> Vec<&str> {
    let Some((names, _)) = doc.split_once(':') else { return Vec::new() };
    names
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
        .filter(|word| is_reference(word))
        .collect()
}

/// For each statement that tests name, where.
fn named_by_tests() -> BTreeMap<String, Vec<String>> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in rust_files() {
        let text = read(&path);
        // The first line of the documentation that the next item has, and where that is.
        let mut doc = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(words) = line.strip_prefix("///") {
                doc = doc.or(Some((number + 1, words)));
            } else if line == "#[test]" {
                let (number, words) = doc.take().unwrap_or((number, ""));
                let place = path.strip_prefix(root()).unwrap_or(&path).display();
                for name in references(words) {
                    named.entry(name.to_string()).or_default().push(format!("{place}:{number}"));
                }
            } else if !line.starts_with('#') && !line.starts_with("//") {
                doc = None;
            }
        }
    }
    named
}

/// All of tests/ and src/, but for the chapter.
fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("tests"), root().join("src")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .unwrap_or_else(|err| panic!("{}: {err}", folder.display()))
            .map(|entry| entry.expect("a folder can be read").path());
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") && path != chapter_file() {
                files.push(path);
            }
        }
    }
    files
}

/// No number is left unexplained, none is used twice, and none is made up.
#[test]
fn the_numbers_of_the_chapter_are_complete() {
    let Chapter { statements, not_applicable } = chapter();
    let both: Vec<_> = statements.intersection(&not_applicable).collect();
    assert!(both.is_empty(), "statements that also do not apply: {both:?}");
    let expected: BTreeSet<String> = SUBJECTS
        .iter()
        .flat_map(|&(subject, count)| (1..=count).map(move |n| format!("{subject}-{n:02}")))
        .collect();
    let found: BTreeSet<String> = statements.union(&not_applicable).cloned().collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    let unknown: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:?}; unknown: {unknown:?}");
}

/// A statement that no test shows is a wish.
#[test]
fn every_statement_is_named_by_a_test() {
    let named = named_by_tests();
    let unnamed: Vec<String> =
        chapter().statements.into_iter().filter(|name| !named.contains_key(name)).collect();
    assert!(unnamed.is_empty(), "no test names these statements: {}", unnamed.join(", "));
}

/// A reference that cannot be looked up is a typing error, or the chapter lacks something.
#[test]
fn every_statement_that_a_test_names_is_in_the_chapter() {
    let statements = chapter().statements;
    let mut unknown = named_by_tests();
    unknown.retain(|name, _| !statements.contains(name));
    assert!(
        unknown.is_empty(),
        "tests name statements that the chapter does not have: {unknown:?}"
    );
}

/// The parser knows what the tests write.
#[test]
fn references_stand_before_the_colon() {
    assert_eq!(references(" L-01, H-14: pending, then RD-02: no"), ["L-01", "H-14"]);
    assert_eq!(references(" WR-7 and X-123: mistakes are seen"), ["WR-7", "X-123"]);
    for none in [" as in L-01", " UTF-8: text", " a-1, L-, -01, L-x: nothing"] {
        assert!(references(none).is_empty(), "{none}");
    }
}
