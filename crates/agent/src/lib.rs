//! What runs inside a target, as bytes: the shared object and its part in Python.
//!
//! See `inject/agent.rs` for what the shared object does, and for its law.

/// The shared object, for the machine that this was built for.
pub static SHARED_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agent.so"));
/// The agent's part in Python, for 3.8 and later: what a stopped thread does when it is asked something.
/// It is one file in the target, and one for each of its parts here.
pub static SUPPORT: &str = concat!(
    include_str!("../inject/support/base.py"),
    "\n\n",
    include_str!("../inject/support/frames.py"),
    "\n\n",
    include_str!("../inject/support/breakpoints.py"),
    "\n\n",
    include_str!("../inject/support/stops.py"),
    "\n\n",
    include_str!("../inject/support/asks.py"),
    "\n\n",
    include_str!("../inject/support/process.py"),
    "\n\n",
    include_str!("../inject/support/launch.py"),
);
/// What is run first in a program that is launched.
pub static BOOT: &str = include_str!("../inject/boot.py");
/// What a running program is made to run when it is entered.
pub static ENTER: &str = include_str!("../inject/enter.py");
/// The `sitecustomize` by which Python children of a program that was launched find the session.
pub static SITE: &str = include_str!("../inject/site.py");
