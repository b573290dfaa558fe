//! What was done to a run, counted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::sleep;

use super::client::Clients;
use super::disk::Disk;
use super::plan::{Fault, NODES, Plan, Timed};
use crate::cluster::Node;
use crate::cluster::postgres::Postgres;

/// How often is looked whether the next fault's time has come.
const PROGRESS_POLL: Duration = Duration::from_millis(5);

/// A configuration that differs in something live.
const OTHER: &str = "[log]\nlevel = \"info,sqlx=error\"";

/// Counts of everything that went wrong on purpose.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Deeds {
    /// Gateways killed with SIGKILL.
    pub kills: u64,
    /// Of these, those that a fail point killed.
    pub kills_at_points: u64,
    /// PostgreSQL stopped and started.
    pub postgres_stops: u64,
    /// PostgreSQL killed with SIGKILL.
    pub postgres_kills: u64,
    /// Journals without room.
    pub disks_full: u64,
    /// Journals that could not be synced.
    pub disks_broken: u64,
    /// Configurations taken over, and refused.
    pub reloads: u64,
}

/// Whoever does it.
#[derive(Debug)]
pub struct Monkey<'r> {
    /// The database.
    pub postgres: &'r Postgres,
    /// The gateways.
    pub nodes: &'r [Arc<Node>],
    /// Their journals' volumes.
    pub disks: &'r [Disk],
    /// Whose requests tell the time.
    pub clients: Arc<Clients>,
    /// What was done.
    pub deeds: Mutex<Deeds>,
    /// How often a gateway's disk broke.
    pub breaks: Mutex<[u64; NODES]>,
}

impl Monkey<'_> {
    /// Does what the plan says, each at its time, and returns when all of it is over.
    pub async fn run(&self, plan: &Plan) -> anyhow::Result<()> {
        try_join_all(plan.faults.iter().map(|timed| self.wait_and_do(*timed))).await?;
        Ok(())
    }

    async fn wait_and_do(&self, timed: Timed) -> anyhow::Result<()> {
        while self.clients.sent() < timed.after {
            sleep(PROGRESS_POLL).await;
        }
        self.commit(timed.fault).await
    }

    async fn commit(&self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill(node) => self.node(node)?.kill().await,
            Fault::StopPostgres(pause) => {
                self.deeds.lock().postgres_stops += 1;
                self.postgres.pause(pause).await
            }
            Fault::KillPostgres => {
                self.deeds.lock().postgres_kills += 1;
                self.postgres.kill().await
            }
            Fault::FillDisk(node, pause) => {
                self.deeds.lock().disks_full += 1;
                let disk = self.disk(node)?;
                disk.fill()?;
                sleep(pause).await;
                disk.free()
            }
            Fault::BreakDisk(node, pause) => self.break_disk(node, pause).await,
            Fault::Reload(node) => {
                self.deeds.lock().reloads += 1;
                self.node(node)?.reload(OTHER).await
            }
            Fault::ReloadNonsense(node) => {
                self.deeds.lock().reloads += 1;
                self.node(node)?.reload_nonsense().await
            }
        }
    }

    /// A gateway that cannot sync refuses everything until somebody restarts it.
    async fn break_disk(&self, node: usize, pause: Duration) -> anyhow::Result<()> {
        self.deeds.lock().disks_broken += 1;
        if let Some(breaks) = self.breaks.lock().get_mut(node) {
            *breaks += 1;
        }
        let (node, disk) = (self.node(node)?, self.disk(node)?);
        node.let_starts_fail(true);
        disk.break_down()?;
        sleep(pause).await;
        disk.mend()?;
        // Waits for a start under way, which may still fail for what was.
        node.kill().await?;
        node.let_starts_fail(false);
        Ok(())
    }

    fn node(&self, node: usize) -> anyhow::Result<&Node> {
        self.nodes
            .get(node)
            .map(AsRef::as_ref)
            .context("no such gateway")
    }

    fn disk(&self, node: usize) -> anyhow::Result<&Disk> {
        self.disks.get(node).context("no such disk")
    }
}

impl Deeds {
    /// Adds another seed's.
    pub const fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.kills_at_points += other.kills_at_points;
        self.postgres_stops += other.postgres_stops;
        self.postgres_kills += other.postgres_kills;
        self.disks_full += other.disks_full;
        self.disks_broken += other.disks_broken;
        self.reloads += other.reloads;
    }
}
