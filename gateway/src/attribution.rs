//! What a client says its request is for, in headers: labels, and the workflow, run and step that ask.
//!
//! All of it is the client's own word about its own spending: it decides which row of a report and which budgets of the
//! organization a request counts against, never whose it is.

use std::collections::BTreeMap;

use http::HeaderMap;
use metering::Attribution;
use types::Id;

use crate::error::Error;

/// `name=value` pairs, separated by commas.
const TAGS: &str = "x-flowpilot-tags";
const WORKFLOW: &str = "x-flowpilot-workflow";
const EXECUTION: &str = "x-flowpilot-execution";
const STEP: &str = "x-flowpilot-step";

/// Labels of one request at most: each is stored with every row and may have a budget of its own.
const TAGS_MAX: usize = 16;
/// A label's name at most, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// A label's value at most, in bytes.
const VALUE_BYTES_MAX: usize = 128;

/// Reads all of the headers; without any of them it costs four look-ups.
pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Attribution, Error> {
    Ok(Attribution {
        workflow: id(headers, WORKFLOW)?,
        execution: id(headers, EXECUTION)?,
        step: id(headers, STEP)?,
        tags: tags(headers)?,
    })
}

fn id<T>(headers: &HeaderMap, name: &str) -> Result<Option<Id<T>>, Error> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let id = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let id = id.ok_or_else(|| Error::invalid(format!("{name} must be a UUID"), None))?;
    Ok(Some(id))
}

fn tags(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Error> {
    let mut tags = BTreeMap::new();
    for header in headers.get_all(TAGS) {
        let text = header.to_str().map_err(|_| wrong("visible ASCII only"))?;
        let pairs = text.split(',').map(str::trim);
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = tag(pair)?;
            if tags.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(wrong("each name once"));
            }
            if tags.len() > TAGS_MAX {
                return Err(wrong(&format!("at most {TAGS_MAX} pairs")));
            }
        }
    }
    Ok(tags)
}

fn tag(pair: &str) -> Result<(&str, &str), Error> {
    let (name, value) = pair
        .split_once('=')
        .ok_or_else(|| wrong("pairs such as team=search,feature=autocomplete"))?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(wrong(&format!("names of 1 to {NAME_BYTES_MAX} bytes")));
    }
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return Err(wrong(&format!("values of 1 to {VALUE_BYTES_MAX} bytes")));
    }
    Ok((name, value))
}

/// The value itself is not repeated: it may be long, and is the client's own.
fn wrong(expected: &str) -> Error {
    Error::invalid(format!("{TAGS} must have {expected}"), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn read(name: &'static str, value: &str) -> Result<Attribution, Error> {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_str(value).unwrap();
        from_headers(&HeaderMap::from_iter([(name, value)]))
    }

    #[test]
    fn labels_are_read_as_they_are_written_and_white_space_does_not_count() {
        let tags = read(TAGS, "team=search , feature=a=b,").unwrap().tags;
        let expected = [("feature", "a=b"), ("team", "search")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(tags, BTreeMap::from(expected));
    }

    #[test]
    fn a_request_without_headers_is_for_nothing_in_particular() {
        let attribution = from_headers(&HeaderMap::new()).unwrap();
        assert_eq!(attribution, Attribution::default());
    }

    #[test]
    fn what_is_no_label_too_long_too_much_or_said_twice_is_refused() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        let many: Vec<_> = (0..=TAGS_MAX).map(|n| format!("t{n}=1")).collect();
        for text in [
            "team",
            "=search",
            "team=",
            &format!("team={long}"),
            &format!("{long}=1"),
            &many.join(","),
            "team=a,team=b",
        ] {
            let refused = read(TAGS, text);
            assert!(matches!(refused, Err(Error::Invalid { .. })), "{text}");
        }
    }

    #[test]
    fn a_workflow_a_run_and_a_step_are_uuids() {
        let uuid = "01993752-0000-7000-8000-000000000001";
        let workflow = read(WORKFLOW, uuid).unwrap().workflow.unwrap();
        assert_eq!(workflow.to_string(), uuid);
        assert!(read(EXECUTION, uuid).unwrap().execution.is_some());
        assert!(read(STEP, "seven").is_err());
    }
}
