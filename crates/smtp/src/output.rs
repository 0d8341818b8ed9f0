//! The bytes a session wants written, kept in one buffer that is reused for the life of the connection.

/// Bytes waiting for the socket: written at the end, consumed from the front.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    start: usize,
}

impl Output {
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Forgets the first `count` bytes; more than there are counts as all of them.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.bytes.len());
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Moves everything pending to the end of `into`. An empty `into` is swapped, not copied.
    pub(crate) fn take(&mut self, into: &mut Vec<u8>) {
        if into.is_empty() && self.start == 0 {
            std::mem::swap(into, &mut self.bytes);
        } else {
            into.extend_from_slice(self.pending());
            self.bytes.clear();
            self.start = 0;
        }
    }

    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}
