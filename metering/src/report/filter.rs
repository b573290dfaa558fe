//! What is asked for: a span of days, what gets rows of its own, what is left out, and which rows of the answer.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use types::Id;
use types::id::{ApiKey, Department, User, Workflow};
use uuid::Uuid;

use super::{Dimension, Error, Rows};

/// The longest span: a year and a day, so that a year can be asked for whichever way its end is meant.
pub(super) const DAYS_MAX: u64 = 367;

/// Rows of one page; whoever needs more asks for the next one.
pub const ROWS_MAX: usize = 10_000;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The first day, by UTC.
    pub from: NaiveDate,
    /// The day after the last one.
    pub until: NaiveDate,
    /// What gets rows of its own.
    pub group_by: BTreeSet<Dimension>,
    /// One provider only.
    pub provider: Option<String>,
    /// One model only, as the provider names it.
    pub model: Option<String>,
    /// One key only.
    pub api_key: Option<Id<ApiKey>>,
    /// One department only.
    pub department: Option<Id<Department>>,
    /// One user only.
    pub user: Option<Id<User>>,
    /// One workflow only.
    pub workflow: Option<Id<Workflow>>,
    /// One price only.
    pub price: Option<Uuid>,
    /// One service only.
    pub service: Option<String>,
    /// One source of counts only: provider, estimated, unknown or cache.
    pub usage_source: Option<String>,
    /// One end only, such as failed.
    pub outcome: Option<String>,
    /// One class of tokens only; of costs.
    pub token_class: Option<String>,
}

/// Which rows of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Rows before the first one.
    pub offset: usize,
    /// The most rows, 1 to [`ROWS_MAX`].
    pub limit: usize,
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: ROWS_MAX,
        }
    }
}

impl Filter {
    /// Everything of a span, in one row.
    pub const fn of(from: NaiveDate, until: NaiveDate) -> Self {
        Self {
            from,
            until,
            group_by: BTreeSet::new(),
            provider: None,
            model: None,
            api_key: None,
            department: None,
            user: None,
            workflow: None,
            price: None,
            service: None,
            usage_source: None,
            outcome: None,
            token_class: None,
        }
    }

    /// The words of the dimensions that get rows of their own.
    pub(crate) fn words(&self) -> Vec<String> {
        let words = self.group_by.iter().map(Dimension::as_str);
        words.map(str::to_owned).collect()
    }

    /// The key of the tag that is asked for.
    pub(crate) fn tag(&self) -> Option<&str> {
        self.group_by.iter().find_map(|dimension| match dimension {
            Dimension::Tag(key) => Some(key.as_str()),
            _ => None,
        })
    }

    fn by(&self, dimension: &Dimension) -> bool {
        self.group_by.contains(dimension)
    }

    fn check(&self) -> Result<(), Error> {
        let longest = self.from.checked_add_days(Days::new(DAYS_MAX));
        if self.until <= self.from || longest.is_none_or(|longest| self.until > longest) {
            return Err(Error::Span);
        }
        if self.by(&Dimension::Month) && self.by(&Dimension::Day) {
            return Err(Error::MonthAndDay);
        }
        Ok(())
    }

    pub(super) fn check_usage(&self) -> Result<(), Error> {
        self.check()?;
        if self.by(&Dimension::TokenClass) || self.token_class.is_some() {
            let which = "usage is not kept by token class; ask for costs";
            return Err(Error::Combination(which));
        }
        let is_tag = |dimension: &&Dimension| matches!(dimension, Dimension::Tag(_));
        let tags = self.group_by.iter().filter(is_tag).count();
        if tags > 1 {
            return Err(Error::Combination("group by one tag at a time"));
        }
        if tags == 1 && self.asks_for_more_than_tags_have() {
            let which = "a tag goes together with organization, parent, month, day, provider, model, usage_source and outcome";
            return Err(Error::Combination(which));
        }
        Ok(())
    }

    fn asks_for_more_than_tags_have(&self) -> bool {
        let missing = [
            Dimension::Department,
            Dimension::User,
            Dimension::ApiKey,
            Dimension::Workflow,
            Dimension::Price,
            Dimension::Service,
        ];
        missing.iter().any(|dimension| self.by(dimension))
            || self.names_somebody()
            || self.price.is_some()
            || self.service.is_some()
    }

    const fn names_somebody(&self) -> bool {
        self.api_key.is_some()
            || self.department.is_some()
            || self.user.is_some()
            || self.workflow.is_some()
    }

    pub(super) fn check_costs(&self) -> Result<(), Error> {
        self.check()?;
        let missing = [
            Dimension::Department,
            Dimension::User,
            Dimension::ApiKey,
            Dimension::Workflow,
        ];
        let is_missing = |dimension: &Dimension| {
            missing.contains(dimension) || matches!(dimension, Dimension::Tag(_))
        };
        if self.group_by.iter().any(is_missing) || self.names_somebody() {
            let which = "costs by token class are kept by organization, not by department, user, key, workflow or tag; \
                         ask for usage, which has their cost too";
            return Err(Error::Combination(which));
        }
        Ok(())
    }
}

impl Paging {
    pub(super) const fn check(self) -> Result<(), Error> {
        if self.limit == 0 || self.limit > ROWS_MAX {
            return Err(Error::Page);
        }
        Ok(())
    }

    /// One row more than asked for, to see whether more follow.
    pub(crate) fn rows_to_fetch(self) -> i64 {
        i64::try_from(self.limit)
            .unwrap_or(i64::MAX)
            .saturating_add(1)
    }

    pub(crate) fn rows_before(self) -> i64 {
        i64::try_from(self.offset).unwrap_or(i64::MAX)
    }

    pub(super) fn cut<T>(self, mut rows: Vec<T>) -> Rows<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        Rows { rows, more }
    }
}
