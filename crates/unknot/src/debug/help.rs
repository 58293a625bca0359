//! What the commands are called, and what they do.

/// A command.
pub struct Topic {
    /// What may be typed for it; the first is its full name.
    pub names: &'static [&'static str],
    /// How it is used: a form a line, in pdb's words where pdb has it.
    pub usage: &'static str,
    /// What it does.
    pub text: &'static str,
}

const fn topic(names: &'static [&'static str], usage: &'static str, text: &'static str) -> Topic {
    Topic { names, usage, text }
}

/// All commands, those of pdb first.
pub const TOPICS: &[Topic] = &[
    topic(
        &["help", "h"],
        "h(elp)",
        "Lists the commands; with a command's name, tells about that one.\n\"help exec\" tells about statements.",
    ),
    topic(
        &["where", "w", "bt"],
        "w(here) [count]",
        "Prints the stack, the newest frame last; an arrow marks the frame that commands look at.\nA count prints so many of the newest frames, a negative one of the oldest, 0 the current frame.",
    ),
    topic(
        &["down", "d"],
        "d(own) [count]",
        "Looks at a newer frame, so many steps down.",
    ),
    topic(
        &["up", "u"],
        "u(p) [count]",
        "Looks at an older frame, so many steps up.",
    ),
    topic(
        &["break", "b"],
        "b(reak) [ ([filename:]lineno | function) [, condition] ]",
        "Stops the program at a line or where a function's body begins, whenever the condition is true there.\nA file is looked for along sys.path, and .py may be left out. Without an argument, lists the breakpoints.",
    ),
    topic(
        &["tbreak"],
        "tbreak [ ([filename:]lineno | function) [, condition] ]",
        "Like break, but the breakpoint goes away when it is reached.",
    ),
    topic(
        &["clear", "cl"],
        "cl(ear) [filename:lineno | bpnumber ...]",
        "Takes breakpoints away, all of them (after a question) without an argument.",
    ),
    topic(
        &["disable"],
        "disable bpnumber [bpnumber ...]",
        "Keeps breakpoints, but lets the program run past them.",
    ),
    topic(
        &["enable"],
        "enable bpnumber [bpnumber ...]",
        "Makes disabled breakpoints work again.",
    ),
    topic(
        &["ignore"],
        "ignore bpnumber [count]",
        "Lets the program run past a breakpoint so many times; without a count, not once more.",
    ),
    topic(
        &["condition"],
        "condition bpnumber [condition]",
        "Gives a breakpoint a condition, or takes it away.",
    ),
    topic(
        &["commands"],
        "(Pdb) commands [bpnumber]\n(com) ...\n(com) end\n(Pdb)",
        "The commands that follow, up to `end`, are run when the breakpoint (the last one set, without a number) is reached.\nA command that lets the program run ends them. With `silent` among them, the stop itself is not told.\nNo commands at all take earlier ones away.",
    ),
    topic(
        &["step", "s"],
        "s(tep)",
        "Runs to the next line, also in a function that is called.",
    ),
    topic(
        &["next", "n"],
        "n(ext)",
        "Runs to the next line of this function, or to its return.",
    ),
    topic(
        &["until", "unt"],
        "unt(il) [lineno]",
        "Runs to a line with a greater number, or to this one, or to the function's return.",
    ),
    topic(
        &["jump", "j"],
        "j(ump) lineno",
        "Makes a line of the newest frame the next that is run. Not every jump is possible: Python says why.",
    ),
    topic(
        &["return", "r"],
        "r(eturn)",
        "Runs until this function returns.",
    ),
    topic(
        &["retval", "rv"],
        "retval",
        "Prints what the function returns, where it stands at its return.",
    ),
    topic(
        &["run", "restart"],
        "run [args...]",
        "Begins the program anew, with other arguments where some are given. Breakpoints and history stay.",
    ),
    topic(
        &["continue", "c", "cont"],
        "c(ont(inue))",
        "Runs until something stops the program.",
    ),
    topic(
        &["list", "l"],
        "l(ist) [first[, last] | .]",
        "Lists 11 lines around the current one, then those that follow; around it again with `.`.\nOne number lists around that line, two a range; a second that is smaller is a count.\n`->` marks the current line, `>>` the one that raised, `B` a breakpoint.",
    ),
    topic(
        &["longlist", "ll"],
        "ll | longlist",
        "Lists the whole function.",
    ),
    topic(&["args", "a"], "a(rgs)", "Prints the function's arguments."),
    topic(&["p"], "p expression", "Prints the expression's value."),
    topic(
        &["pp"],
        "pp expression",
        "Prints the expression's value laid out over lines.",
    ),
    topic(
        &["whatis"],
        "whatis expression",
        "Prints the type of the expression's value.",
    ),
    topic(
        &["source"],
        "source expression",
        "Prints the source of a function, class or module.",
    ),
    topic(
        &["display"],
        "display [expression]",
        "Prints the expression's value now, and whenever it has changed when the program stops in this frame.\nWithout an expression, lists what is displayed here.",
    ),
    topic(
        &["undisplay"],
        "undisplay [expression]",
        "Displays the expression no more, or nothing in this frame.",
    ),
    topic(
        &["interact"],
        "interact",
        "An interactive interpreter with this frame's names; Ctrl-D leads back.",
    ),
    topic(
        &["alias"],
        "alias [name [command]]",
        "Gives a command a name. %1 to %9 stand for the words behind it, %* for all of them.\nWithout a command, shows what the name stands for; without a name, all aliases.",
    ),
    topic(&["unalias"], "unalias name", "Takes an alias away."),
    topic(
        &["debug"],
        "debug code",
        "Runs code under a debugger of its own, from here; its prompt has more parentheses.",
    ),
    topic(
        &["exceptions"],
        "exceptions [number]",
        "After an uncaught exception: lists it and those that led to it, or looks at one of them.",
    ),
    topic(
        &["quit", "q", "exit"],
        "q(uit) | exit",
        "Ends the program and the debugger. A process that was attached to goes on: quit is detach then.",
    ),
    topic(
        &["detach"],
        "detach",
        "Takes the debugger out of the program, which goes on without it.",
    ),
    topic(&["EOF"], "EOF", "The end of the input: as quit."),
    topic(
        &["threads"],
        "threads",
        "Lists the threads of all processes: a number, a name, where each is. `*` marks the chosen one.",
    ),
    topic(
        &["thread"],
        "thread [number [command]]",
        "Looks at another thread from here on, or runs one command there.\nOf a thread that does not stand, only its stack can be seen.",
    ),
    topic(
        &["processes"],
        "processes",
        "Lists the processes of the session.",
    ),
    topic(
        &["process"],
        "process [number]",
        "Looks at another process's thread that stands.",
    ),
    topic(
        &["tasks"],
        "tasks",
        "Lists the tasks of asyncio: what each runs and where it is.",
    ),
    topic(&["task"], "task name", "Prints a task's stack."),
    topic(
        &["why"],
        "why",
        "Explains what the program's threads, tasks and processes wait for.",
    ),
    topic(
        &["waiting-on"],
        "waiting-on expression",
        "Prints who waits for the object, and who holds it.",
    ),
    topic(
        &["catch"],
        "catch [raised | off] [type ...]",
        "Stops where an exception is raised; only of these types where some are given.",
    ),
    topic(
        &["log"],
        "log [filename:]lineno | function, text",
        "Prints a text whenever the program comes there, without stopping it; {expression} is evaluated there.",
    ),
    topic(
        &["set"],
        "set [name value]",
        "Settings: `all-stop on|off`: a stop makes all threads stand. `scheduler run|step|alone`: who runs with this\nthread: all others; all others but in steps; nobody ever. Without an argument, shows them.",
    ),
];

/// About statements.
pub const EXEC: &str = "(!) statement

Runs a Python statement in the frame that is looked at. The exclamation mark may be left out, unless the
statement's first word is a command's: `! n = 1`. To set a global variable, say so first: `global n; n = 1`.
$name is a variable of the debugger's own: $_frame, $_retval, $_exception are there already.";

/// All names of commands.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().flat_map(|topic| topic.names.iter().copied())
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.names.contains(&name))
}

/// A command's usage and, unless that is all that is wanted, what it does; set in as pdb does, by the prompt's width.
pub fn told(topic: &Topic, indent: usize, usage_only: bool) -> String {
    let indent = " ".repeat(indent);
    let mut lines = Vec::new();
    for (index, line) in topic.usage.lines().enumerate() {
        let before = if index == 0 { "Usage: " } else { "       " };
        lines.push(format!("{indent}{before}{line}"));
    }
    if !usage_only {
        lines.push(String::new());
        lines.extend(topic.text.lines().map(|line| format!("{indent}{line}")));
    }
    lines.join("\n")
}

/// The list of all commands.
pub fn overview() -> String {
    let mut all: Vec<&str> = names().collect();
    all.sort_unstable();
    let mut out = String::new();
    for (title, topics) in [
        ("Documented commands (type help <topic>):", all),
        ("Miscellaneous help topics:", vec!["exec", "pdb"]),
    ] {
        out.push_str(&format!("\n{title}\n{}\n", "=".repeat(title.len())));
        out.push_str(&columns(&topics));
    }
    out
}

/// How wide the list of commands is.
const COLUMNS: usize = 80;

fn columns(words: &[&str]) -> String {
    let width = words.iter().map(|word| word.len()).max().unwrap_or(0) + 2;
    let across = (COLUMNS / width).max(1);
    let rows = words.len().div_ceil(across);
    let mut out = String::new();
    for row in 0..rows {
        let line: String = (0..across)
            .filter_map(|column| words.get(column * rows + row))
            .map(|word| format!("{word:width$}"))
            .collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once() {
        let mut all: Vec<&str> = names().collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(overview().contains("tbreak"));
        let told = told(find("commands").unwrap(), 6, true);
        assert!(told.starts_with("      Usage: (Pdb) commands [bpnumber]\n             (com) ..."));
    }
}
