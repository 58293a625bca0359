//! `html`: one page that shows a recording, or the difference of two, without loading anything.
//!
//! The recordings stand in the page in the stored form, in base 64; so the page can be read again. Its own script
//! unpacks them (`DecompressionStream`, which every browser has since 2023). The script is plain JavaScript, in the files
//! of `html/`, which are put into one element in this order.

use crate::text::markup;
use crate::{Format, Profile, ReadError, base64, stored};
use std::io::{self, Write};

const STYLE: &str = include_str!("html/page.css");
const BODY: &str = include_str!("html/page.html");
const SCRIPTS: [&str; 10] = [
    include_str!("html/data.js"),
    include_str!("html/colours.js"),
    include_str!("html/tree.js"),
    include_str!("html/sums.js"),
    include_str!("html/flame.js"),
    include_str!("html/chart.js"),
    include_str!("html/lanes.js"),
    include_str!("html/tables.js"),
    include_str!("html/source.js"),
    include_str!("html/app.js"),
];

/// What comes before the recording in a page.
const OPEN: &str = r#"<script type="application/octet-stream" id="unknot-recording">"#;
/// What comes before what it is compared with.
const OPEN_BASELINE: &str = r#"<script type="application/octet-stream" id="unknot-baseline">"#;

/// Writes the page of a recording; with `baseline`, of what has changed since that one.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, baseline: Option<&Profile>, out: &mut dyn Write) -> io::Result<()> {
    let command = match profile.about.command.join(" ") {
        command if command.is_empty() => "recording".to_owned(),
        command => command,
    };
    let title = markup(&command);
    writeln!(
        out,
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<meta name="generator" content="{}">
<title>{title} · unknot</title>
<style>{STYLE}</style>
</head>
{BODY}"#,
        markup(&profile.about.recorder)
    )?;
    if let Some(baseline) = baseline {
        embed(OPEN_BASELINE, baseline, out)?;
    }
    embed(OPEN, profile, out)?;
    writeln!(out, "<script>\n\"use strict\";")?;
    for script in SCRIPTS {
        out.write_all(script.as_bytes())?;
    }
    writeln!(out, "</script>\n</body>\n</html>")
}

fn embed(open: &str, profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let mut packed = Vec::new();
    stored::write(profile, &mut packed)?;
    writeln!(out, "{open}{}</script>", base64::encode(&packed))
}

/// The recording in a page, still coded; of a page that compares two, the newer one.
pub fn recording_in(page: &[u8]) -> Option<&[u8]> {
    let start = find(page, OPEN.as_bytes())? + OPEN.len();
    let rest = page.get(start..)?;
    let end = rest.iter().position(|byte| *byte == b'<')?;
    rest.get(..end)
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

/// Reads what [`recording_in`] has found.
///
/// # Errors
/// Says what is wrong with it.
pub fn read(coded: &[u8]) -> Result<Profile, ReadError> {
    let packed = base64::decode(coded)
        .ok_or_else(|| ReadError::broken(Format::Html, "the recording in it is damaged"))?;
    stored::read(&crate::gzip::unpack(&packed)?)
}

#[cfg(test)]
mod tests {
    use crate::{Format, ReadError, read, synthetic, write};

    #[test]
    fn the_recording_in_a_page_is_read_again() {
        for profile in [
            synthetic::empty(),
            synthetic::server(),
            synthetic::hostile(),
        ] {
            let mut bytes = Vec::new();
            write(&profile, Format::Html, &mut bytes).expect("memory");
            assert_eq!(read(&bytes).as_ref(), Ok(&profile));
            bytes.truncate(bytes.len() / 50);
            assert_eq!(read(&bytes), Err(ReadError::Unknown));
        }
    }

    #[test]
    fn of_a_comparison_the_newer_recording_is_read() {
        let mut bytes = Vec::new();
        super::write(&synthetic::server(), Some(&synthetic::wide(2)), &mut bytes).expect("memory");
        assert_eq!(read(&bytes), Ok(synthetic::server()));
    }

    #[test]
    fn names_cannot_leave_their_place_and_nothing_is_loaded() {
        let mut bytes = Vec::new();
        write(&synthetic::hostile(), Format::Html, &mut bytes).expect("memory");
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(text.matches("<script").count(), 2);
        assert_eq!(text.matches("</script>").count(), 2);
        for word in ["src=\"", "http://", "https://", "@import", "fetch("] {
            assert!(!text.contains(word), "{word}");
        }
    }
}
