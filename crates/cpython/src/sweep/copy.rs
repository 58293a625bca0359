//! The memory in which a thread's frames lie, copied in each sweep.

use super::form::{Form, Words};
use process::Range;
use snapshot::Address;

/// Ranges with fewer bytes between them are read as one: a range costs as much as this many bytes.
const GAP_MAX: u64 = 2048;
/// Bytes above the innermost frame that are read too, in case that there are more frames in the next sweep.
const SLACK: u64 = 512;
/// Bytes of a page.
const PAGE: u64 = 4096;
/// Most bytes of one range.
const SPAN_MAX: u64 = 1 << 20;
/// Most bytes of all ranges of one thread.
const COPY_MAX: u64 = 32 << 20;
/// After so many sweeps, what was not needed is left out.
const SWEEPS_MAX: u32 = 64;

/// Copies of some ranges.
#[derive(Debug, Default)]
pub(super) struct Copy {
    spans: Vec<Span>,
    /// The span that was asked last.
    last: usize,
    /// Sweeps since the ranges were chosen.
    sweeps: u32,
    /// Whether ranges were added in the last sweep.
    grown: bool,
    /// Misses of this sweep.
    misses: u32,
}

#[derive(Debug)]
struct Span {
    base: u64,
    bytes: Vec<u8>,
    /// What was read; otherwise the bytes mean nothing.
    whole: bool,
    /// It is to be read in the next call.
    due: bool,
    /// The frame for which it was added; it alone is read where the whole range cannot be.
    wanted: Option<u64>,
}

impl Span {
    fn new(base: u64, end: u64, wanted: Option<u64>) -> Span {
        let len = end.saturating_sub(base).min(SPAN_MAX);
        Span {
            base,
            bytes: vec![0; usize::try_from(len).unwrap_or(0)],
            whole: false,
            due: true,
            wanted,
        }
    }

    fn end(&self) -> u64 {
        self.base.saturating_add(self.bytes.len() as u64)
    }
}

impl Copy {
    /// Chooses what to read in the sweep that begins, by where the frames were in the one before.
    pub fn plan(&mut self, frames: &[Words], form: &Form) {
        self.sweeps += 1;
        self.misses = 0;
        if self.grown || self.sweeps > SWEEPS_MAX {
            let kept = if self.sweeps > SWEEPS_MAX {
                self.sweeps = 0;
                Vec::new()
            } else {
                self.spans.iter().map(|s| (s.base, s.end())).collect()
            };
            self.choose(frames, form, kept);
            self.grown = false;
        }
        for span in &mut self.spans {
            (span.due, span.whole) = (true, false);
        }
    }

    fn choose(&mut self, frames: &[Words], form: &Form, kept: Vec<(u64, u64)>) {
        let mut ranges = kept;
        let size = form.frame_len as u64;
        ranges.extend(frames.iter().map(|f| (f.at, f.at.saturating_add(size))));
        if let (Some(top), true) = (frames.last(), form.data_stack) {
            let end = top.at.saturating_add(size);
            let page_end = (end | (PAGE - 1)).saturating_add(1);
            ranges.push((end, end.saturating_add(SLACK).min(page_end)));
        }
        ranges.sort_unstable();
        self.spans.clear();
        let mut total = 0;
        let mut open: Option<(u64, u64)> = None;
        for (base, end) in ranges {
            match &mut open {
                Some((first, last))
                    if base <= last.saturating_add(GAP_MAX) && end - *first <= SPAN_MAX =>
                {
                    *last = end.max(*last);
                }
                _ => {
                    if let Some((first, last)) = open.replace((base, end)) {
                        total += last - first;
                        self.spans.push(Span::new(first, last, None));
                    }
                }
            }
            if total > COPY_MAX {
                break;
            }
        }
        if let Some((first, last)) = open {
            self.spans.push(Span::new(first, last, None));
        }
        self.last = 0;
    }

    /// Adds the ranges that are to be read now.
    pub fn push_ranges<'a>(&'a mut self, ranges: &mut Vec<Range<'a>>) {
        for span in self.spans.iter_mut().filter(|span| span.due) {
            ranges.push(Range {
                address: Address(span.base),
                buffer: &mut span.bytes,
                ok: false,
            });
        }
    }

    /// Takes note of which of the ranges that [`Copy::push_ranges`] gave were read, in the same order.
    pub fn note(&mut self, mut read: impl FnMut() -> bool) {
        for span in self.spans.iter_mut().filter(|span| span.due) {
            span.due = false;
            span.whole = read();
        }
    }

    /// The copied bytes from `at` on.
    #[inline]
    pub fn find(&mut self, at: u64, len: usize) -> Option<&[u8]> {
        let within = |span: &Span| {
            let start = usize::try_from(at.checked_sub(span.base)?).ok()?;
            let fits = span.whole && start.checked_add(len)? <= span.bytes.len();
            fits.then_some(start)
        };
        let mut start = self.spans.get(self.last).and_then(within);
        if start.is_none() {
            let found = self
                .spans
                .iter()
                .enumerate()
                .find_map(|(index, span)| Some((index, within(span)?)))?;
            self.last = found.0;
            start = Some(found.1);
        }
        let start = start?;
        self.spans.get(self.last)?.bytes.get(start..start + len)
    }

    /// Has the frame at `at`, which was not there, read in the next call, and with it what is likely to be met next.
    /// `false`: it was tried before, or there is too much.
    pub fn want(&mut self, at: u64, form: &Form) -> bool {
        let end = at.saturating_add(form.frame_len as u64);
        self.grown = true;
        if let Some(span) = self.spans.iter_mut().find(|span| span.wanted == Some(at)) {
            // The range was too large: the frame alone.
            if span.whole || span.base == at {
                return false;
            }
            *span = Span::new(at, end, Some(at));
            return true;
        }
        let total: u64 = self.spans.iter().map(|span| span.bytes.len() as u64).sum();
        if total > COPY_MAX || at == 0 {
            return false;
        }
        let page = at & !(PAGE - 1);
        let (base, end) = if form.data_stack {
            // Outer frames lie below, and more of them the deeper the stack proves to be.
            let below = (PAGE << self.misses.min(6)).min(SPAN_MAX / 2);
            (page.saturating_sub(below - PAGE), end)
        } else {
            // Frames that were made one after the other lie near each other, in the same page as a rule.
            (page, end.max(page.saturating_add(PAGE)))
        };
        self.misses += 1;
        self.spans.push(Span::new(base, end, Some(at)));
        true
    }
}
