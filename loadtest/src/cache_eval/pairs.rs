//! Pairs of questions, each pair apart from the others: one is answered, then the other one is asked.

use super::Options;
use super::answers::answer;
use super::data::Pair;
use super::report::{Report, Tally};
use super::setting::{Said, Setting};
use crate::output;

pub(super) async fn replay(
    setting: &Setting,
    options: &Options,
    pairs: &[Pair],
) -> anyhow::Result<Report> {
    let mut tally = Tally::default();
    let pairs = pairs.iter().take(options.limit.unwrap_or(usize::MAX));
    for (number, pair) in pairs.enumerate() {
        // Another system message is another partition.
        let context = format!("You are assistant number {number}.");
        if let Said::Miss(key, trace) = setting.ask(&context, &pair.a).await {
            let fresh = answer(&number.to_string(), 0);
            setting.answer(key, trace, &pair.a, &fresh).await;
        }
        tally.requests += 1;
        let said = setting.ask(&context, &pair.b).await;
        if let Said::Hit(hit) = &said {
            tally.hit(hit.tier, pair.label == 1);
        } else if let Said::Miss(_, Some(trace)) = &said {
            tally.audits += u64::from(trace.is_audit());
        }
        let served = matches!(said, Said::Hit(_));
        let name = pair.kind.clone().unwrap_or_else(|| "all".to_owned());
        let kind = tally.kinds.entry(name).or_default();
        kind.label = pair.label;
        kind.pairs += 1;
        kind.served += u64::from(served);
        if options.explain && served != (pair.label == 1) {
            output::note(&format!(
                "{:?} served={served}: {:?} / {:?}",
                pair.kind, pair.a, pair.b
            ));
        }
    }
    Ok(tally.report(options.seed, options.delta))
}
