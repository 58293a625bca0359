//! Whose code a file is: the program's own, the standard library's, an installed package's.

use crate::frame::RawFrame;
use crate::reader::Reader;
use snapshot::{Address, Origin};

/// Longest path that is read.
const PATH_LIMIT_CHARS: usize = 4096;

/// Tells whose code a file is, by where the target's standard library lies.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// Directories of the standard library, each with a slash at its end.
    stdlib: Vec<String>,
}

impl Origins {
    /// For the interpreter state at `interpreter`: its standard library lies where its `os` or `threading` does.
    pub fn of(reader: &Reader<'_>, interpreter: Address) -> Origins {
        let mut stdlib: Vec<String> = Vec::new();
        for module in ["os", "threading"] {
            let Some(directory) = module_directory(reader, interpreter, module) else {
                continue;
            };
            if !stdlib.contains(&directory) {
                stdlib.push(directory);
            }
        }
        Origins { stdlib }
    }

    /// For a standard library in these directories.
    pub fn with_stdlib(directories: &[&str]) -> Origins {
        let stdlib = directories
            .iter()
            .map(|directory| format!("{}/", directory.trim_end_matches('/')))
            .collect();
        Origins { stdlib }
    }

    /// Whose code the file of a code object is.
    pub fn origin_of(&self, file: &str) -> Origin {
        if file.starts_with("<frozen ") {
            return Origin::Stdlib;
        }
        if file.contains("/site-packages/") || file.contains("/dist-packages/") {
            return Origin::Packages;
        }
        if self.in_stdlib(file).is_some() {
            return Origin::Stdlib;
        }
        Origin::Program
    }

    /// Whose code a frame runs. Code that the standard library has made from a string and run in a namespace of its own
    /// (the methods of `multiprocessing.managers`' proxies) is its own, not the program's.
    pub fn of_frame(&self, reader: &Reader<'_>, frame: &RawFrame) -> Origin {
        if &*frame.code.file == "<string>"
            && matches!(reader.dict_get(frame.globals, "__name__"), Ok(None))
        {
            return Origin::Stdlib;
        }
        self.origin_of(&frame.code.file)
    }

    /// The path of a file of the standard library within it (`concurrent/futures/thread.py`); for a frozen
    /// module the path that its source has (`importlib/_bootstrap.py`).
    pub fn stdlib_path<'f>(&self, file: &'f str) -> Option<std::borrow::Cow<'f, str>> {
        if let Some(module) = file.strip_prefix("<frozen ") {
            let module = module.trim_end_matches('>');
            return Some(format!("{}.py", module.replace('.', "/")).into());
        }
        if file.contains("/site-packages/") || file.contains("/dist-packages/") {
            return None;
        }
        self.in_stdlib(file).map(Into::into)
    }

    fn in_stdlib<'f>(&self, file: &'f str) -> Option<&'f str> {
        self.stdlib
            .iter()
            .find_map(|directory| file.strip_prefix(directory.as_str()))
    }
}

/// The directory of an imported module's file, with a slash at its end.
fn module_directory(reader: &Reader<'_>, interpreter: Address, module: &str) -> Option<String> {
    let dict = reader.module(interpreter, module).ok()??;
    let file = reader.dict_get(dict, "__file__").ok()??;
    let file = reader.string(file, PATH_LIMIT_CHARS).ok()?;
    let end = file.rfind('/')?;
    Some(file.get(..=end)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_file_tells_whose_it_is() {
        let origins = Origins::with_stdlib(&["/usr/lib/python3.11"]);
        for (file, origin) in [
            ("/usr/lib/python3.11/threading.py", Origin::Stdlib),
            ("/usr/lib/python3.11/site-packages/a/b.py", Origin::Packages),
            ("/usr/lib/python3/dist-packages/yaml.py", Origin::Packages),
            ("<frozen importlib._bootstrap>", Origin::Stdlib),
            ("/app/threading.py", Origin::Program),
            ("<string>", Origin::Program),
        ] {
            assert_eq!(origins.origin_of(file), origin, "{file}");
        }
        assert_eq!(
            origins
                .stdlib_path("<frozen importlib._bootstrap>")
                .as_deref(),
            Some("importlib/_bootstrap.py")
        );
        assert_eq!(
            origins
                .stdlib_path("/usr/lib/python3.11/queue.py")
                .as_deref(),
            Some("queue.py")
        );
    }
}
