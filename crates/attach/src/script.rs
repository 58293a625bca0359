//! The text that makes an interpreter execute a file, where it is given text and not a path.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What the text begins with: whoever finds it in memory that should be unused knows whose it was.
pub(crate) const MARK: &[u8] = b"#unknot\n";

/// A text for `PyRun_SimpleString` that executes the file at `path`, NUL included; `None` for a path that cannot be.
///
/// It leaves no name in `__main__`, uses none that the program may have redefined there but `__import__`, closes what
/// it opens, and lets no exception out: the call would then have failed with none set.
pub(crate) fn text(path: &Path) -> Option<Vec<u8>> {
    let path = path.as_os_str().as_bytes();
    if path.is_empty() || path.contains(&0) {
        return None;
    }
    let mut literal = String::new();
    for &byte in path {
        match byte {
            b'\'' | b'\\' => write!(literal, "\\{}", char::from(byte)).ok()?,
            b' '..=b'~' => literal.push(char::from(byte)),
            _ => write!(literal, "\\x{byte:02x}").ok()?,
        }
    }
    let mut text = MARK.to_vec();
    text.extend_from_slice(
        format!(
            "try:\n (lambda b,p:(lambda f:b.exec(b.compile([f.read(),f.close()][0],p,'exec'),\
             {{'__name__':'__unknot__','__builtins__':b}}))(b.open(p,'rb')))\
             (__import__('builtins'),b'{literal}')\nexcept BaseException:pass\n\0"
        )
        .as_bytes(),
    );
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_is_a_literal() {
        let text = |path: &[u8]| {
            let path = Path::new(std::ffi::OsStr::from_bytes(path));
            super::text(path).map(|text| String::from_utf8(text).expect("ASCII"))
        };
        assert!(
            text(b"/tmp/a b.py")
                .expect("a path")
                .contains("b'/tmp/a b.py'")
        );
        let odd = text(b"/\xc3\xa4\xff'\\\n.py").expect("a path");
        assert!(odd.contains(r"b'/\xc3\xa4\xff\'\\\x0a.py'"), "{odd}");
        assert!(odd.starts_with("#unknot\n") && odd.ends_with("pass\n\0"));
        assert_eq!(text(b""), None);
        assert_eq!(text(b"/a\0b"), None);
    }
}
