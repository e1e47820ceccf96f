//! One Rust file as the rules see it: its code with comments and literals blanked out, its comments alone, and which
//! lines are tests. A lexer of a hundred lines, not a parser: it knows where things begin and end, not what they mean.

use std::ops::Range;

/// A file of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Where it lies, from the root of the tree, with `/`.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
    /// The same length and lines, with comments, strings and characters turned into spaces.
    pub(crate) code: String,
    /// The same length and lines, with everything but comments turned into spaces.
    pub(crate) comments: String,
    /// Whether the whole file is test code.
    pub(crate) is_test: bool,
    /// What `#[cfg(test)]` and `#[test]` cover, in bytes.
    test_ranges: Vec<Range<usize>>,
}

impl Source {
    /// Reads `text` as the file at `path`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = mask(text);
        let test_ranges = test_ranges(&code);
        let is_test =
            TEST_FOLDERS.iter().any(|folder| path.starts_with(folder) || path.contains(&format!("/{folder}")));
        Self { path: path.to_owned(), text: text.to_owned(), code, comments, is_test, test_ranges }
    }

    /// The files that `#[cfg(test)] mod name;` declares in here, as paths without `.rs`.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let stem = file.trim_end_matches(".rs");
        let folder =
            if ["mod", "lib", "main"].contains(&stem) { folder.to_owned() } else { format!("{folder}/{stem}") };
        let name = |range: &Range<usize>| {
            let rest = self.code[range.clone()].split("mod ").nth(1)?;
            rest.trim_end().strip_suffix(';').map(|name| format!("{folder}/{}", name.trim()))
        };
        self.test_ranges.iter().filter_map(name).collect()
    }

    /// Whether the byte at `offset` is test code.
    pub(crate) fn is_test_at(&self, offset: usize) -> bool {
        self.is_test || self.test_ranges.iter().any(|range| range.contains(&offset))
    }

    /// The line, from 1, of the byte at `offset`.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// Where `needle` stands in `code` with no letter, digit or underscore on either side of it (unless it brings its own end).
pub(crate) fn words<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(needle).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back().is_some_and(part_of_word);
        let after = code[at + needle.len()..].chars().next().is_some_and(part_of_word);
        let (first, last) = (needle.starts_with(part_of_word), needle.ends_with(part_of_word));
        !(first && before || last && after)
    })
}

/// The end of the bracketed text that opens at `open`: the offset after the closing bracket.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The next `{` or `;` from `from` on that is not inside brackets.
pub(crate) fn body_or_end(code: &str, from: usize) -> Option<(usize, u8)> {
    let mut index = from;
    while let Some(byte) = code.as_bytes().get(index) {
        match byte {
            b'{' | b';' => return Some((index, *byte)),
            b'(' | b'[' => index = closing(code, index),
            _ => index += 1,
        }
    }
    None
}

fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let marks = ["#[cfg(test)]", "#[test]"].into_iter().flat_map(|mark| code.match_indices(mark));
    let range = |(start, mark): (usize, &str)| {
        let end = match body_or_end(code, after_attributes(code, start + mark.len())) {
            Some((open, b'{')) => closing(code, open),
            Some((semicolon, _)) => semicolon + 1,
            None => code.len(),
        };
        start..end
    };
    marks.map(range).collect()
}

/// Skips further attributes of the same item.
fn after_attributes(code: &str, from: usize) -> usize {
    let rest = &code[from..];
    let trimmed = from + rest.len() - rest.trim_start().len();
    if code[trimmed..].starts_with("#[") { after_attributes(code, closing(code, trimmed + 1)) } else { trimmed }
}

/// The code without comments and literals, and the comments alone.
fn mask(text: &str) -> (String, String) {
    let mut code = String::with_capacity(text.len());
    let mut comments = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let comment = comment_length(rest);
        let literal = if comment == 0 { literal_length(rest, code.chars().next_back()) } else { 0 };
        let length = comment.max(literal).max(first.len_utf8());
        let (piece, after) = rest.split_at(length);
        if comment > 0 {
            comments.push_str(piece);
        } else {
            blank(piece, &mut comments);
        }
        if comment > 0 || literal > 0 {
            blank(piece, &mut code);
        } else {
            code.push_str(piece);
        }
        rest = after;
    }
    (code, comments)
}

/// As many bytes of space, with the line ends kept.
fn blank(piece: &str, into: &mut String) {
    into.extend(piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
}

/// The length of the comment that `text` starts with, or 0.
fn comment_length(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if !text.starts_with("/*") {
        return 0;
    }
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        match rest {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the string or character that `text` starts with, or 0. `before` tells a prefix from a name's end.
fn literal_length(text: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|character| character.is_alphanumeric() || character == '_');
    let prefix =
        if in_word { 0 } else { ["br", "cr", "b", "c", "r"].into_iter().find(|p| opens(text, p)).map_or(0, str::len) };
    let rest = &text[prefix..];
    let raw = text[..prefix].ends_with('r');
    let hashes = if raw { rest.len() - rest.trim_start_matches('#').len() } else { 0 };
    let body = &rest[hashes..];
    if raw && body.starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let closed = body[1..].find(&end).map_or(body.len(), |at| 1 + at + end.len());
        return prefix + hashes + closed;
    }
    if rest.starts_with('"') {
        return prefix + quoted(rest, '"').unwrap_or(rest.len());
    }
    if rest.starts_with('\'') && is_character(rest) {
        return prefix + quoted(rest, '\'').unwrap_or(rest.len());
    }
    0
}

fn opens(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        let hashes = prefix.ends_with('r') && rest.starts_with('#') && rest.trim_start_matches('#').starts_with('"');
        rest.starts_with('"') || hashes || (prefix == "b" && rest.starts_with('\''))
    })
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_character(text: &str) -> bool {
    let mut characters = text.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

/// The length up to and with the closing `quote`.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if character == quote => return Some(index + 1),
            _ => {}
        }
    }
    None
}

/// What lies in these is test code as a whole, in any crate.
const TEST_FOLDERS: &[&str] = &["tests/", "benches/", "fuzz/", "bench/"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_leave_the_code() {
        let text =
            "let a = \"x // y\"; // unsafe\n/* a /* b */ c */ let b = 'x'; let c: &'a str = r#\"q\"u\"#;\nb'\\'' c";
        let (code, comments) = mask(text);
        assert_eq!(code.len(), text.len());
        let squeezed: Vec<_> = code.split_whitespace().collect();
        assert_eq!(squeezed.join(" "), "let a = ; let b = ; let c: &'a str = ; c");
        assert_eq!(comments.split_whitespace().collect::<Vec<_>>().join(" "), "// unsafe /* a /* b */ c */");
    }

    #[test]
    fn a_raw_name_and_a_name_that_ends_in_r_are_no_strings() {
        let (code, _) = mask("let r#type = for_r; var\"x\"");
        assert_eq!(code, "let r#type = for_r; var   ");
    }

    #[test]
    fn tests_are_told_from_what_ships() {
        let source =
            Source::new("a/src/x.rs", "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests { fn b() {} }\nfn c() {}\n");
        let at = |needle: &str| source.is_test_at(source.code.find(needle).expect("it is in the text"));
        assert!(!at("fn a") && at("fn b") && !at("fn c"));
        assert!(Source::new("tests/src/x.rs", "").is_test && Source::new("codec/tests/x.rs", "").is_test);
        assert!(!Source::new("core/src/latest/x.rs", "").is_test);
    }

    #[test]
    fn a_module_that_only_tests_have_is_found() {
        let text = "mod a;\n#[cfg(test)]\nmod table;\n";
        assert_eq!(Source::new("core/src/cli/mod.rs", text).test_modules(), ["core/src/cli/table"]);
        assert_eq!(Source::new("core/src/cli.rs", text).test_modules(), ["core/src/cli/table"]);
        assert!(Source::new("core/src/cli.rs", "#[cfg(test)]\nmod tests { fn a() {} }").test_modules().is_empty());
    }

    #[test]
    fn words_are_whole_words() {
        assert_eq!(words("unsafe_code unsafe {", "unsafe").collect::<Vec<_>>(), [12]);
        assert_eq!(words("a.unwrap() b.unwrap_or()", ".unwrap()").collect::<Vec<_>>(), [1]);
    }
}
