//! How an object is reached, in the program's own terms.

use std::rc::Rc;

/// What a reference is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Label {
    /// A variable of a frame or function: its name, and whose.
    Variable(Rc<str>, Rc<str>),
    /// A global: its name, and the function that uses it.
    Global(Rc<str>, Rc<str>),
    /// An attribute of an instance, module or class.
    Attribute(Rc<str>),
    /// An element of a container.
    Item,
    /// On the value stack of this function.
    Stack(Rc<str>),
    /// The class of an instance, the function of a method and the like: not worth a word.
    Other,
}

impl Label {
    /// Whether it is an attribute of this name.
    pub(super) fn is_attribute(&self, wanted: &str) -> bool {
        matches!(self, Label::Attribute(name) if **name == *wanted)
    }
}

/// Longest path that is told in full.
const LENGTH_MAX: usize = 120;

/// `self.queue in Worker.run`, `global done in finish`.
pub(super) fn text(labels: &[&Label]) -> String {
    let mut expression = String::new();
    let mut place: Option<&Rc<str>> = None;
    for label in labels {
        match label {
            Label::Variable(name, function) => {
                expression = name.to_string();
                place = Some(function);
            }
            Label::Global(name, function) => {
                expression = format!("global {name}");
                place = Some(function);
            }
            Label::Stack(function) => {
                expression = "a value in use".to_owned();
                place = Some(function);
            }
            Label::Attribute(name) => {
                expression.push('.');
                expression.push_str(name);
            }
            Label::Item => expression.push_str("[…]"),
            Label::Other => {}
        }
    }
    let mut expression = expression.trim_start_matches('.').to_owned();
    if expression.chars().count() > LENGTH_MAX {
        let kept: String = expression.chars().take(LENGTH_MAX).collect();
        expression = kept + "…";
    }
    match place {
        Some(place) => format!("{expression} in {place}"),
        None => expression,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_code() {
        let name = |text: &str| Rc::<str>::from(text);
        let own = Label::Variable(name("self"), name("Worker.run"));
        let queue = Label::Attribute(name("queue"));
        assert_eq!(
            text(&[&own, &queue, &Label::Item]),
            "self.queue[…] in Worker.run"
        );
        let global = Label::Global(name("done"), name("finish"));
        assert_eq!(
            text(&[&own, &Label::Other, &global]),
            "global done in finish"
        );
        assert_eq!(text(&[&Label::Other]), "");
    }
}
