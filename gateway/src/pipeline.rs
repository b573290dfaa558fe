//! The path of an AI request, as one function; each stage takes what the stage before it gave.
//!
//! # What may be dropped where
//! A client that goes away drops [`Pipeline::answer`] at any `await`. Until [`exchange`] begins, that gives back the
//! permits and nothing has happened. From there on the work goes on without the client, within `drains_max` and
//! `drain_timeout_ms`, and the shutdown waits for it. Beyond those limits an exchange is dropped and
//! booked as unknown, and a stream is settled with what is known by then: a provider that was asked is always booked.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use cache::{Alike, Cache, Control, Question};
use chrono::{DateTime, Utc};
use config::Config;
use config::section::{OnDisconnect, PromptStorage, Target, Unpriced};
use metering::idempotency::Calls;
use metering::{Attribution, CacheStatus, CallPermit, Metering, Price, PriceBook, Refusal};
use tokio_util::task::TaskTracker;
use types::call::{Call, Endpoint};
use types::id::{Organization, Request};
use types::{Caller, Clock, Id, Permission};

use crate::error::Error;
use crate::exchange::{self, Exchange, StoreAs};
use crate::finish::{Finish, Leftovers, Presence};
use crate::in_flight::InFlight;
use crate::limit::{Admission, Limits};
use crate::once::{self, Asking};
use crate::prompt::Prompt;
use crate::ready::{price, ready};
use crate::reply::{Content, Origin, Reply};
use crate::route::{Choice, Deployment, Routes, Wish, session};
use crate::template::Templates;
use crate::wire::client;
use crate::{measure, meter, upstream, writer};

/// Everything the path of a request needs; shared by all of them.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// What changes with the configuration.
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    /// Prompt templates.
    pub(crate) templates: Arc<Templates>,
    /// The cache.
    pub(crate) cache: Cache,
    /// Quotas and journal.
    pub(crate) metering: Metering,
    /// Calls that are to be answered once.
    pub(crate) calls: Calls,
    /// Work that outlives its client.
    pub(crate) tasks: TaskTracker,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Exchanges and streams still worked on although their clients left.
    pub(crate) drains: Arc<InFlight>,
}

/// What changes with the configuration, replaced as a whole.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The configuration.
    pub(crate) config: Arc<Config>,
    /// Who answers for which model.
    pub(crate) routes: Routes,
    /// How fast a key may go.
    pub(crate) limits: Arc<Limits>,
}

impl Settings {
    /// The settings of a checked configuration; what each key has used of its rate goes on if the limits are the same.
    pub(crate) fn new(
        config: &Arc<Config>,
        prices: Arc<ArcSwap<PriceBook>>,
        before: Option<&Self>,
    ) -> anyhow::Result<Self> {
        let unchanged = before.filter(|before| before.config.limits == config.limits);
        Ok(Self {
            routes: Routes::new(config, prices, before.map(|before| &before.routes))?,
            limits: unchanged.map_or_else(
                || Arc::new(Limits::new(&config.limits)),
                |before| Arc::clone(&before.limits),
            ),
            config: Arc::clone(config),
        })
    }
}

impl Settings {
    /// Whether a model can be asked and billed; else why not.
    pub(crate) fn check_target(
        &self,
        organization: Id<Organization>,
        target: &Target,
        at: DateTime<Utc>,
    ) -> Result<(), String> {
        let deployment = self.routes.deployment(target);
        let deployment =
            deployment.ok_or_else(|| format!("there is no provider `{}`", target.provider))?;
        let price = self.routes.price(organization, &deployment, at);
        if price.is_none() && self.config.metering.unpriced == Unpriced::Refuse {
            return Err(format!(
                "`{target}` has no price, so its use cannot be billed"
            ));
        }
        Ok(())
    }
}

/// A prompt let in, with what it holds until its end.
struct Admitted {
    prompt: Arc<Prompt>,
    choice: Choice,
    admission: Admission,
    call: CallPermit,
}

impl Pipeline {
    /// Answers a call of an authenticated caller; one with an idempotency key as it was answered before, if it was.
    pub(crate) async fn answer(self: &Arc<Self>, mut asking: Box<Asking>) -> Result<Reply, Error> {
        match asking.directions.key.take() {
            None => self.answer_anew(asking).await,
            // On the heap, so that a call without a key does not carry its size.
            Some(key) => Box::pin(once::answer(self, key, asking)).await,
        }
    }

    /// Answers a call, whatever was answered before.
    pub(crate) async fn answer_anew(&self, asking: Box<Asking>) -> Result<Reply, Error> {
        let settings = self.settings.load_full();
        let control = asking.directions.cache;
        let admitted = self.admit(&settings, asking).await?;
        let price = price(&settings, &admitted.prompt)?;
        let looked_up = self.look_up(&settings, &admitted.prompt, control).await;
        if let LookedUp::Hit(hit) = looked_up {
            return self.replay(&settings, admitted, &hit, price.as_deref());
        }
        let Admitted {
            prompt,
            mut choice,
            admission,
            call,
        } = admitted;
        let model = Arc::clone(&prompt.deployment);
        let status = looked_up.status();
        let ready = ready(&self.metering, &settings, &mut choice, prompt, status).await?;
        let is_same_model = ready.prompt.deployment.model == model.model;
        let exchange = Box::new(Exchange {
            ready,
            call,
            choice,
            admission,
            cache: status,
            store_as: looked_up.into_place().filter(|_| is_same_model),
            settings,
        });
        self.run(exchange).await
    }

    /// Counts the tokens of a call's question: as its provider does, or else roughly. Nothing is used, nothing booked.
    pub(crate) async fn count(
        &self,
        request: Id<Request>,
        caller: Caller,
        call: Call,
    ) -> Result<Bytes, Error> {
        require(&caller, Permission::AiInvoke)?;
        let settings = self.settings.load_full();
        let _admission = settings.limits.admit(&caller)?;
        let call = self.templates.render(&caller, call).await?;
        let at = self.clock.now();
        let deployment = settings
            .routes
            .resolve(caller.organization, &call.model, at)?;
        let prompt = Prompt {
            request,
            at,
            received: Instant::now(),
            caller,
            attribution: Attribution::default(),
            call,
            deployment,
        };
        let counted = upstream::count_tokens(&prompt).await?;
        let tokens = counted.unwrap_or_else(|| measure::input_estimate(&prompt).input_tokens);
        Ok(client::token_count(prompt.call.dialect, tokens))
    }

    /// Rate, template and model, then one API call from a lease: a hit costs that and no more.
    async fn admit(&self, settings: &Settings, asking: Box<Asking>) -> Result<Admitted, Error> {
        let Asking {
            request,
            caller,
            call,
            directions,
        } = *asking;
        require(&caller, Permission::AiInvoke)?;
        let admission = settings.limits.admit(&caller)?;
        let call = self.templates.render(&caller, call).await?;
        let at = self.clock.now();
        let wanted = (caller.organization, &call);
        let (choice, deployment) = choose(settings, request, directions.session, wanted, at)?;
        let prompt = Arc::new(Prompt {
            request,
            at,
            received: Instant::now(),
            caller,
            attribution: directions.attribution,
            call,
            deployment,
        });
        let call = self.metering.quota().take_call(prompt.spender()).await?;
        Ok(Admitted {
            prompt,
            choice,
            admission,
            call,
        })
    }

    async fn look_up(&self, settings: &Settings, prompt: &Prompt, control: Control) -> LookedUp {
        let control = permitted(control, &prompt.caller);
        let is_stored = prompt.call.endpoint != Endpoint::Embeddings;
        if !is_stored || !control.read && !control.write {
            return LookedUp::Bypass;
        }
        let key = cache::Key::of(
            &prompt.call,
            prompt.caller.organization,
            &prompt.deployment.model,
        );
        if let Some(hit) = self.cache.lookup(&key, &prompt.caller, control).await {
            return LookedUp::Hit(hit);
        }
        // On the heap and after the exact tiers, so that their hits pay nothing for it.
        let alike = match question(settings, prompt, &key) {
            None => None,
            Some(question) => {
                Some(Box::pin(self.cache.lookup_alike(question, &prompt.caller, control)).await)
            }
        };
        let trace = match alike {
            Some(Alike::Hit(hit)) => return LookedUp::Hit(hit),
            Some(Alike::Miss(trace)) => Some(trace),
            None => None,
        };
        LookedUp::Miss {
            asked: control.read,
            place: control.write.then_some(StoreAs { key, trace }),
        }
    }

    fn replay(
        &self,
        settings: &Settings,
        admitted: Admitted,
        hit: &cache::Hit,
        price: Option<&Price>,
    ) -> Result<Reply, Error> {
        let prompt = &admitted.prompt;
        let content = if prompt.call.delivery.is_stream() {
            Content::Replayed(writer::replayed(prompt, &hit.answer))
        } else {
            Content::Whole(writer::whole(prompt, &hit.answer))
        };
        let replay = meter::replay(prompt, hit, price, &settings.config.privacy);
        self.metering
            .journal()
            .replayed(replay, Some(admitted.call))
            .map_err(unbookable)?;
        Ok(Reply {
            origin: Origin::Cache {
                tier: hit.tier,
                entry: hit.entry,
                age: hit.age,
                provider: Arc::clone(&hit.provider),
                model: Arc::clone(&hit.model),
            },
            delivery: prompt.call.delivery,
            content,
        })
    }

    /// Runs the exchange to its end, whether or not the client stays.
    async fn run(&self, exchange: Box<Exchange>) -> Result<Reply, Error> {
        let presence = Presence::default();
        let parts = exchange::Parts {
            cache: self.cache.clone(),
            metering: self.metering.clone(),
            clock: Arc::clone(&self.clock),
            drains: Arc::clone(&self.drains),
            tasks: self.tasks.clone(),
            client: presence.clone(),
        };
        let leftovers = self.leftovers(&exchange.settings);
        Finish::new(leftovers, presence, exchange::run(parts, exchange)).await
    }

    /// Where work goes on for which nobody waits any more, if it does.
    pub(crate) fn leftovers(&self, settings: &Settings) -> Leftovers {
        let limits = &settings.config.metering;
        Leftovers {
            tasks: self.tasks.clone(),
            running: Arc::clone(&self.drains),
            at_once_max: match limits.on_disconnect {
                OnDisconnect::Drain => limits.drains_max,
                OnDisconnect::Abort => 0,
            },
            timeout: limits.drain_timeout,
        }
    }
}

/// What the cache said.
enum LookedUp {
    Hit(cache::Hit),
    Miss { asked: bool, place: Option<StoreAs> },
    Bypass,
}

impl LookedUp {
    const fn status(&self) -> CacheStatus {
        match self {
            Self::Hit(hit) => meter::status(hit.tier),
            Self::Miss { asked: true, .. } => CacheStatus::Miss,
            Self::Miss { asked: false, .. } | Self::Bypass => CacheStatus::Bypass,
        }
    }

    fn into_place(self) -> Option<StoreAs> {
        match self {
            Self::Miss { place, .. } => place,
            Self::Hit(_) | Self::Bypass => None,
        }
    }
}

/// Chooses where the call is attempted first.
fn choose(
    settings: &Settings,
    request: Id<Request>,
    told: Option<u64>,
    (organization, call): (Id<Organization>, &Call),
    at: DateTime<Utc>,
) -> Result<(Choice, Arc<Deployment>), Error> {
    let plan = settings.routes.begin(organization, &call.model, at)?;
    let wish = Wish {
        request,
        session: session::of(plan.sticky, told, call),
        is_stream: call.delivery.is_stream(),
    };
    let choice = Choice::new(plan, wish, Instant::now());
    let deployment = choice.deployment().map(Arc::clone);
    let deployment = deployment.ok_or_else(|| Error::UnknownModel(call.model.clone()))?;
    Ok((choice, deployment))
}

/// What may be looked up by meaning. Nothing, where texts may not be kept: questions are compared word by word too.
fn question(settings: &Settings, prompt: &Prompt, key: &cache::Key) -> Option<Question> {
    let config = &settings.config;
    let wanted = cache::Options::from(&config.cache).semantic;
    let kept = config.privacy.prompt_storage == PromptStorage::Text;
    (wanted && kept)
        .then(|| Question::of(&prompt.call, key))
        .flatten()
}

fn permitted(control: Control, caller: &Caller) -> Control {
    Control {
        read: control.read && caller.may(Permission::CacheRead),
        write: control.write && caller.may(Permission::CacheWrite),
        ..control
    }
}

/// Refuses what the caller may not do.
pub(crate) fn require(caller: &Caller, permission: Permission) -> Result<(), Error> {
    if caller.may(permission) {
        Ok(())
    } else {
        Err(Error::Forbidden(permission))
    }
}

/// A journal that takes no record: nothing billable can be done now.
pub(crate) fn unbookable(error: metering::journal::Error) -> Error {
    tracing::error!(error = %error, "the journal takes no record");
    Error::Unavailable {
        reason: "the request cannot be booked",
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Exceeded(exceeded) => Self::QuotaExceeded(exceeded),
            Refusal::Unavailable { .. } => Self::Unavailable {
                reason: "the quota cannot be checked",
            },
        }
    }
}
