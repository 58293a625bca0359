//! The terminal that a stream leads to.

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, AsRawFd};

/// Whether reading from `stream` would return at once, or within so many milliseconds: there is something, or its end.
pub fn is_readable(stream: impl AsFd, within_ms: u16) -> bool {
    let mut polled = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut polled, PollTimeout::from(within_ms)), Ok(count) if count > 0)
}

/// How many columns the terminal behind `stream` has; `None` where there is none, or it does not know.
pub fn columns(stream: impl AsFd) -> Option<usize> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one `winsize`, which lives as long as the call (ioctl_tty(2)).
    let answer =
        unsafe { libc::ioctl(stream.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (answer == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}
