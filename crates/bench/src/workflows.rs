//! What workflows cost and what batches across requests bring them: one daemon with a few graphs, measured pairwise in turn,
//! so that a machine that is slower for a while is slower for both of a pair.

mod cover;
mod forms;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use demo::samples;
use demo::torch::deep;
use serde_json::Value;

use crate::client::Client;
use crate::daemon::{Daemon, Start};
use crate::load::{Load, Slice};
use crate::plan::Plan;
use crate::report::{Chain, Demo, Merging, Workflows};
use crate::scrape::Batches;
use crate::stats::{Ratio, median, quantile};
use crate::store::{self, Packed};

/// Nodes of the long chain.
const NODES: usize = 20;
/// Requests at once, and items of each.
const CONNECTIONS: usize = 8;
const ITEMS: usize = 3;
/// Explained requests of one slice.
const EXPLAINED: usize = 30;

/// Measures everything in one daemon. `progress` is told what is at hand.
pub fn measure(folder: &Path, plan: Plan, progress: &mut dyn FnMut(&str)) -> Result<Workflows> {
    let store = folder.join("workflows");
    fs::create_dir_all(&store).with_context(|| format!("cannot create {}", store.display()))?;
    deep::save(&store.join("deep.pt"))?;
    fill(&store)?;
    let mut daemon = Daemon::start(&Start {
        program: None,
        folder: &store,
        models: "quadrat=quadrat.mar",
        config: "load_workflows=all\n",
        log: None,
    })?;
    daemon.wait_until_ready()?;
    progress("segment_cover: one connection, beside what its nodes compute");
    let demo = demo(&daemon, plan)?;
    progress("segment_cover: one connection, beside libtorch alone");
    let cover = cover::measure(&daemon, folder, plan)?;
    progress("a chain of nodes that do nothing, beside one of them");
    let chain = chain(&daemon, plan)?;
    progress("items of several requests together, and apart");
    let merging = merging(&daemon, plan)?;
    daemon.check_alive()?;
    drop(daemon);
    progress("number plates in two forms, where the weights are there");
    let forms = forms::measure(folder, plan)?;
    Ok(Workflows {
        demo,
        cover,
        chain,
        merging,
        forms,
    })
}

/// Packs the models and writes the specs.
fn fill(store: &Path) -> Result<()> {
    let fixtures = samples::default_folder();
    let quadrat = fs::read_to_string(fixtures.join("quadrat_segmenter.yaml"))?;
    let deep = "minWorkers: 1\nmaxWorkers: 1\nhandler:\n  dtype: float32\n";
    let apart = format!("merge: false\n{deep}");
    let weights = [fixtures.join("quadrat_segmenter.pt"), store.join("deep.pt")];
    for (name, handler, weights, config) in [
        ("quadrat", "image_segmenter", &weights[0], quadrat.as_str()),
        ("deep", "base_handler", &weights[1], deep),
        ("apart", "base_handler", &weights[1], &apart),
    ] {
        store::pack(
            store,
            &Packed {
                name,
                version: "1.0",
                handler,
                weights,
                config,
            },
        )?;
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows/segment_cover.yaml");
    let shipped = fs::read_to_string(&shipped)
        .with_context(|| format!("cannot read {}", shipped.display()))?;
    for (name, spec) in [
        ("segment_cover", shipped),
        ("one", chain_of(1)),
        ("chain", chain_of(NODES)),
        ("items", items_for("deep.mar")),
        ("items_apart", items_for("apart.mar")),
    ] {
        let path = store.join(format!("{name}.yaml"));
        fs::write(&path, spec).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Each node gives on what it is given.
fn chain_of(nodes: usize) -> String {
    let mut spec = String::from("inputs: {value: int}\nnodes:\n");
    let mut before = "value".to_owned();
    for node in 1..=nodes {
        spec.push_str(&format!(
            "  node{node}: {{function: passthrough, in: {before}}}\n"
        ));
        before = format!("node{node}");
    }
    spec
}

fn items_for(url: &str) -> String {
    format!(
        "inputs: {{items: \"tensor<float32>[n, {}]\"}}\n\
         models:\n  deep: {{url: {url}, batch-size: 32, max-batch-delay: 20}}\n\
         nodes:\n  item: {{foreach: items}}\n  scores: {{model: deep, in: item}}\n  all: {{gather: scores}}\n\
         output: all\n",
        deep::WIDTH
    )
}

fn demo(daemon: &Daemon, plan: Plan) -> Result<Demo> {
    const PATH: &str = "/wfpredict/segment_cover";
    let picture = samples::default_folder().join("quadrats/mixed.png");
    let picture =
        fs::read(&picture).with_context(|| format!("cannot read {}", picture.display()))?;
    let mut load = Load::open(daemon.address, 1, PATH, &picture)?;
    let mut client = Client::new(daemon.address);
    let explain = format!("{PATH}?explain=1");
    let mut pairs = Vec::with_capacity(plan.pairs);
    for _ in 0..plan.pairs {
        let mut slice = load.run(plan.slice / 2, || Ok(0.0))?;
        let mut computed = Vec::with_capacity(EXPLAINED);
        for _ in 0..EXPLAINED {
            let reply = client.post(&explain, &picture)?;
            if reply.status != 200 {
                bail!("segment_cover answered {}: {}", reply.status, reply.text());
            }
            computed.push(compute_ms(&serde_json::from_slice(&reply.body)?)?);
        }
        pairs.push((micros(&mut slice) / 1e3, median(&computed)));
    }
    let of = |figure: fn(&(f64, f64)) -> f64| median(&pairs.iter().map(figure).collect::<Vec<_>>());
    Ok(Demo {
        alone_ms: of(|(alone, _)| *alone),
        compute_ms: of(|(_, compute)| *compute),
        added_ms: of(|(alone, compute)| alone - compute),
    })
}

/// What the nodes of an explained answer computed, summed up.
fn compute_ms(answer: &Value) -> Result<f64> {
    let nodes = answer["explain"]["nodes"].as_array();
    let nodes = nodes.context("an answer that does not explain itself")?;
    let computed = nodes
        .iter()
        .map(|node| node["compute_ms"].as_f64().context("a node without a time"));
    computed.sum()
}

/// The median latency of a slice.
fn micros(slice: &mut Slice) -> f64 {
    quantile(&mut slice.latencies, 0.5).map_or(f64::NAN, f64::from)
}

fn chain(daemon: &Daemon, plan: Plan) -> Result<Chain> {
    let mut one = Load::open(daemon.address, 1, "/wfpredict/one", b"7")?;
    let mut all = Load::open(daemon.address, 1, "/wfpredict/chain", b"7")?;
    let mut pairs = Vec::with_capacity(plan.pairs);
    for _ in 0..plan.pairs {
        let mut slices = Vec::with_capacity(2);
        for load in [&mut one, &mut all] {
            slices.push(micros(&mut load.run(plan.slice / 2, || Ok(0.0))?));
        }
        pairs.push((slices[0], slices[1]));
    }
    let of = |figure: fn(&(f64, f64)) -> f64| median(&pairs.iter().map(figure).collect::<Vec<_>>());
    Ok(Chain {
        nodes: NODES,
        one_us: of(|(one, _)| *one),
        all_us: of(|(_, all)| *all),
        node_us: of(|(one, all)| (all - one) / (NODES - 1) as f64),
    })
}

fn merging(daemon: &Daemon, plan: Plan) -> Result<Merging> {
    let body = items()?;
    let open = |path: &str| Load::open(daemon.address, CONNECTIONS, path, &body);
    let mut together = open("/wfpredict/items")?;
    let mut apart = open("/wfpredict/items_apart")?;
    let slice = plan.slice.max(Duration::from_secs(1));
    let mut batches = [
        Batches::of(daemon, "items__deep"),
        Batches::of(daemon, "items_apart__deep"),
    ];
    let mut pairs = Vec::with_capacity(plan.pairs);
    for _ in 0..plan.pairs {
        let together = together.run(slice, || batches[0].meter())?;
        let apart = apart.run(slice, || batches[1].meter())?;
        pairs.push((together.per_second(), apart.per_second()));
    }
    let of = |figure: fn(&(f64, f64)) -> f64| median(&pairs.iter().map(figure).collect::<Vec<_>>());
    Ok(Merging {
        connections: CONNECTIONS,
        items: ITEMS,
        together: of(|(together, _)| *together),
        apart: of(|(_, apart)| *apart),
        ratio: Ratio::of_pairs(pairs.iter().copied()),
        batch: batches[0].mean(),
        batch_apart: batches[1].mean(),
    })
}

/// The items of one request: numbers of no meaning, none of them the same.
fn items() -> Result<Vec<u8>> {
    let number = |at: usize| ((at * 37 % 101) as f32 - 50.0) / 64.0;
    let item = |item: usize| (0..deep::WIDTH).map(move |at| number(item * deep::WIDTH + at));
    let items: Vec<Vec<f32>> = (0..ITEMS).map(|index| item(index).collect()).collect();
    Ok(serde_json::to_vec(&items)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compute_is_summed_over_nodes() {
        let answer =
            serde_json::json!({"explain": {"nodes": [{"compute_ms": 1.5}, {"compute_ms": 0.25}]}});
        assert_eq!(compute_ms(&answer).ok(), Some(1.75));
        assert!(compute_ms(&serde_json::json!({})).is_err());
    }

    #[test]
    fn a_chain_is_a_spec_of_so_many_nodes() {
        assert_eq!(
            chain_of(2),
            "inputs: {value: int}\nnodes:\n  node1: {function: passthrough, in: value}\n  node2: {function: passthrough, in: node1}\n"
        );
    }
}
