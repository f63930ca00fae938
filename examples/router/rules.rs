//! Rules from a file.

use std::fs;
use std::path::Path;

use ironsys::channel::Sender;
use ironsys::flow::Rules;

use crate::message::Message;
use crate::{Error, OUTPUTS};

/// The rules when there is no file.
const DEFAULT: &str = "\
# name    field     value    output
errors    severity  error    pager
database  source    db       audit
rest      source    *        archive
";

/// Reads rules; an error names the file and the line.
pub(crate) fn load(
    file: Option<&Path>,
    outputs: &[Sender<Message>],
) -> Result<Rules<Message>, Error> {
    let Some(path) = file else { return parse(DEFAULT, "(built in)", outputs) };
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    parse(&text, &name, outputs)
}

fn parse(text: &str, file: &str, outputs: &[Sender<Message>]) -> Result<Rules<Message>, Error> {
    let mut rules = Rules::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let wrong = |what: String| Error::from(format!("{file}:{number}: {what}"));
        let [name, field, value, output] = words[..] else {
            if words.is_empty() {
                continue;
            }
            return Err(wrong(format!("{} words, not NAME FIELD VALUE OUTPUT", words.len())));
        };
        let Some(to) = OUTPUTS.iter().position(|known| *known == output) else {
            return Err(wrong(format!("no output `{output}`; there are {}", OUTPUTS.join(", "))));
        };
        let read: fn(&Message) -> &'static str = match field {
            "source" => |message| message.source,
            "severity" => |message| message.severity,
            other => return Err(wrong(format!("no field `{other}`; there are source, severity"))),
        };
        let value = value.to_owned();
        rules =
            rules.when(name, move |message| value == "*" || read(message) == value, &outputs[to]);
    }
    Ok(rules)
}
