//! A message.

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Message {
    /// Where it was sent.
    pub subject: String,
    /// The subscription it came for.
    pub subscription: u64,
    /// Where an answer is wanted.
    pub reply: Option<String>,
    /// The status of the server, in messages of its own: 404, 408, 503.
    pub status: Option<u16>,
    /// Names and values, as they were sent.
    pub headers: Vec<(String, String)>,
    /// What it says.
    pub payload: Vec<u8>,
}

impl Message {
    /// Returns the value of a header; names are compared without regard to case.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Message;
    /// let message = Message::default();
    /// assert_eq!(message.header("Nats-Msg-Id"), None);
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}
