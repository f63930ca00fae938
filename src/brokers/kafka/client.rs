//! What both ends have in common.

use crate::error::BuildError;
use rdkafka::ClientConfig;
use std::fmt;
use std::time::Duration;

/// Where Kafka is, which topic, and what librdkafka is told besides.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) brokers: String,
    pub(super) topic: String,
    properties: Vec<(String, String)>,
}

impl Place {
    pub(super) fn new(brokers: String, topic: String) -> Place {
        Place { brokers, topic, properties: Vec::new() }
    }

    pub(super) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.properties.push((name.into(), value.into()));
    }

    /// What librdkafka is told: `ours`, and then what the user said.
    pub(super) fn config(&self, ours: &[(&str, String)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in ours {
            config.set(*name, value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    /// # Errors
    /// Brokers or topic are empty; a property is one of `kept`, on which promises rest.
    pub(super) fn check(&self, of: &'static str, kept: &[&str]) -> Result<(), BuildError> {
        let wrong = |field, why: String| Err(BuildError::new(of, field, why));
        if self.brokers.trim().is_empty() {
            return wrong("brokers", "must be a list such as `host:9092,other:9092`".into());
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !(1..=249).contains(&self.topic.len()) || !self.topic.chars().all(fits) {
            let why = format!("{:?} is not 1 to 249 of a-z, A-Z, 0-9, `.`, `_`, `-`", self.topic);
            return wrong("topic", why);
        }
        match self.properties.iter().find(|(name, _)| kept.contains(&name.as_str())) {
            Some((name, _)) => wrong("property", format!("{name} is not for you to set")),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        let names: Vec<_> = self.properties.iter().map(|(name, _)| name).collect();
        f.debug_struct("Place")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("properties", &names)
            .finish()
    }
}

/// Milliseconds as librdkafka takes them: at least 1, at most what fits.
pub(super) fn millis(time: Duration, most: u128) -> String {
    time.as_millis().clamp(1, most).to_string()
}
