//! The servers of a cluster: those that were given, and those that these tell of.
//!
//! A server tells of others in its INFO, whose first comes before TLS: anybody in between may have
//! written it. So who is told of has to show the name of the given server by which one came to know it,
//! and not the name it is told by; nobody gets to see who one is by being named there.

use super::options::address;
use serde_json::Value;

/// How many are remembered.
const MOST: usize = 64;

/// A server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its host and port.
    pub(super) address: String,
    /// The given server whose name TLS has to see; itself, if it was given.
    pub(super) named: String,
    pub(super) is_given: bool,
}

/// Those that were told of.
#[derive(Debug, Default)]
pub(super) struct Servers {
    told: Vec<Candidate>,
    /// The given server that the present connection is to, or goes back to.
    named: String,
}

impl Servers {
    /// Whom to try, in this order: the given, then the others.
    pub(super) fn candidates(&self, given: &[String]) -> Vec<Candidate> {
        let given = given.iter().map(|address| Candidate {
            address: address.clone(),
            named: address.clone(),
            is_given: true,
        });
        given.chain(self.told.iter().cloned()).collect()
    }

    /// From now on it is this one that talks.
    pub(super) fn talking(&mut self, to: &Candidate) {
        self.named.clone_from(&to.named);
    }

    /// Takes what an INFO says of the others: the newest list counts, and what is no address does not.
    pub(super) fn hear(&mut self, info: &Value, given: &[String]) {
        let Some(urls) = info["connect_urls"].as_array() else { return };
        self.told.clear();
        for address in urls.iter().filter_map(|url| address(url.as_str()?)) {
            let known = given.contains(&address) || self.told.iter().any(|t| t.address == address);
            if !known && self.told.len() < MOST {
                let named = self.named.clone();
                self.told.push(Candidate { address, named, is_given: false });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, MOST, Servers};
    use serde_json::json;

    #[test]
    fn the_newest_list_counts_each_once_and_not_without_end() {
        let given = ["a:4222".to_owned()];
        let mut servers = Servers::default();
        servers.talking(&servers.candidates(&given)[0]);
        servers.hear(&json!({"connect_urls": ["old:1"]}), &given);
        servers.hear(&json!({"max_payload": 5}), &given);
        assert_eq!(servers.candidates(&given)[1].address, "old:1");
        let odd = json!(["b:1", "b:1", "a:4222", 7, "", "x y:1", "me@c:1", "http://c", "[::1]:2"]);
        servers.hear(&json!({"connect_urls": odd}), &given);
        let all = servers.candidates(&given);
        let addresses: Vec<_> = all.iter().map(|c| &*c.address).collect();
        assert_eq!(addresses, ["a:4222", "b:1", "[::1]:2"]);
        let b = Candidate { address: "b:1".into(), named: "a:4222".into(), is_given: false };
        assert_eq!(all[1], b);
        // What b tells of has to show the name of a, too.
        servers.talking(&b);
        let many: Vec<String> = (0..1_000).map(|n| format!("n{n}:1")).collect();
        servers.hear(&json!({"connect_urls": many}), &given);
        let all = servers.candidates(&given);
        assert_eq!((all.len(), &*all[MOST].named), (1 + MOST, "a:4222"));
    }
}
