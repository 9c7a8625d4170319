//! The typed form: each node says what it takes.

use super::functions::{Found, Functions};
use super::names::Names;
use super::nodes::{
    bind, milliseconds, node, only_input, only_port, to_declared, to_ports, unknown,
};
use super::{Python, few_enough, python};
use crate::expression::Parsed;
use crate::graph::{Bind, Gather, Kind, Model, Node, OnError, Place, ScopeId, Source};
use crate::problem::{About, Report};
use crate::spec::{At, Given, InputsSpec, NodeSpec, OnErrorSpec, Spec, What};

pub(super) struct Maker<'a, 'f> {
    pub(super) spec: &'a Spec,
    pub(super) names: &'f Names<'f>,
    pub(super) models: &'f mut Vec<Model>,
    pub(super) functions: &'f mut Functions<'a>,
    pub(super) python: Option<Python<'a>>,
}

/// What the name of a function leads to.
enum Callee<'a> {
    Native(Found<'a>),
    Python(Kind),
}

impl<'a> Maker<'a, '_> {
    pub(super) fn nodes(&mut self, list: &'a [NodeSpec], report: &mut Report) -> Option<Vec<Node>> {
        let first = list.first()?;
        few_enough(
            list.len(),
            About::at(first.name.place).field("nodes"),
            report,
        )?;
        let mut payload: Option<&str> = None;
        let mut nodes = Vec::new();
        for spec in list {
            let node = self.node(spec, report);
            let takes_payload = spec.inputs.is_none()
                && node
                    .inputs
                    .iter()
                    .any(|bind| matches!(bind.from, Source::Request));
            match payload {
                Some(first) if takes_payload => {
                    let at = About::at(node.place).node(&node.name).field("in");
                    report.error(at, format!("it has no `in`, and `{first}` has none either; one node may take the payload of itself"));
                }
                _ if takes_payload => payload = Some(&spec.name.value),
                _ => {}
            }
            nodes.push(node);
        }
        Some(nodes)
    }

    fn node(&mut self, spec: &'a NodeSpec, report: &mut Report) -> Node {
        let mut made = match &spec.what {
            What::Own => self.own(spec, report),
            What::Model(name) => match self.model(&name.value) {
                Some(model) => self.call_model(spec, model, report),
                None => {
                    let at = About::at(name.place).node(&spec.name.value).field("model");
                    let models = self
                        .spec
                        .models
                        .iter()
                        .map(|model| model.name.value.as_str());
                    let near = report.nearest(&name.value, models);
                    report.error(at, format!("`models` has no `{}`{near}", name.value));
                    self.broken(spec, report)
                }
            },
            What::Function(name) => match self.find(&name.value, name.place, report) {
                Ok(Some(found)) => self.call_found(spec, found, report),
                Ok(None) => self.broken(spec, report),
                Err(()) => {
                    let at = About::at(name.place)
                        .node(&spec.name.value)
                        .field("function");
                    let near = report.nearest(&name.value, self.functions.names());
                    let python = match self.python {
                        Some(python) => format!(", no function of {}", python.file),
                        None => String::new(),
                    };
                    report.error(at, format!("no entry of `functions`{python} and no native function is called `{}`{near}", name.value));
                    self.broken(spec, report)
                }
            },
            What::Foreach(of) => {
                let kind = Kind::Foreach {
                    opens: ScopeId::REQUEST,
                    limit: spec.limit,
                };
                self.over(spec, kind, of, "foreach", report)
            }
            What::Gather(of) => {
                let kind = Kind::Gather(Gather {
                    closes: ScopeId::REQUEST,
                });
                self.over(spec, kind, of, "gather", report)
            }
            What::Broken => self.broken(spec, report),
        };
        if let Some(retries) = spec.retry_attempts {
            made.retry_attempts = retries;
        }
        if let Some(timeout) = spec.timeout_ms {
            made.timeout = Some(milliseconds(timeout));
        }
        self.condition(spec, &mut made, report);
        if let OnErrorSpec::Use(given) = &spec.on_error {
            let at = About::at(given.place)
                .node(&spec.name.value)
                .field("on-error");
            made.on_error = OnError::Use(self.names.given(&given.value, at, report));
        } else if let OnErrorSpec::Skip = spec.on_error {
            made.on_error = OnError::Skip;
        }
        made
    }

    /// A node whose own name says what it is.
    fn own(&mut self, spec: &'a NodeSpec, report: &mut Report) -> Node {
        let name = &spec.name.value;
        if let Some(model) = self.model(name) {
            if let Some(with) = &spec.with {
                let at = About::at(with.place).node(name).field("with");
                report.error(at, "a model has no such key");
            }
            return self.call_model(spec, model, report);
        }
        match self.find(name, spec.name.place, report) {
            Ok(Some(found)) => return self.call_found(spec, found, report),
            Ok(None) => {}
            Err(()) => {
                let models = self
                    .spec
                    .models
                    .iter()
                    .map(|model| model.name.value.as_str());
                let known: Vec<&str> = models.chain(self.functions.names()).collect();
                let near = report.nearest(name, known);
                let at = About::at(spec.name.place).node(name);
                report.error(at, format!("it has neither `model`, `function`, `foreach` nor `gather`, and no model or function is called `{name}`{near}"));
            }
        }
        self.broken(spec, report)
    }

    fn model(&self, name: &str) -> Option<usize> {
        self.spec
            .models
            .iter()
            .position(|model| model.name.value == name)
    }

    /// `Err` where there is no such name; `Ok(None)` where what it leads to is told elsewhere.
    fn find(
        &mut self,
        name: &str,
        place: Place,
        report: &mut Report,
    ) -> Result<Option<Callee<'a>>, ()> {
        if let Some(entry) = self.functions.entry(name) {
            return Ok(self.functions.follow(entry, report).map(Callee::Native));
        }
        if let Some(kind) = python::call(self.python, name, place, self.models) {
            return Ok(Some(Callee::Python(kind)));
        }
        match self.functions.native(name) {
            Some(native) => Ok(Some(Callee::Native(Found { native, spec: None }))),
            None => Err(()),
        }
    }

    fn call_found(&mut self, spec: &'a NodeSpec, found: Callee<'a>, report: &mut Report) -> Node {
        match found {
            Callee::Native(found) => self.call_function(spec, found, report),
            Callee::Python(kind) => self.call_python(spec, kind, report),
        }
    }

    fn call_python(&mut self, spec: &'a NodeSpec, kind: Kind, report: &mut Report) -> Node {
        if let Some(with) = &spec.with {
            let at = About::at(with.place).node(&spec.name.value).field("with");
            report.error(
                at,
                "a function in Python has no parameters; give it what it needs under `in`",
            );
        }
        let mut made = node(&spec.name, kind);
        made.inputs = self.inputs(spec, "body", report);
        python::within(made, self.spec)
    }

    fn call_model(&mut self, spec: &'a NodeSpec, index: usize, report: &mut Report) -> Node {
        let model = &self.spec.models[index];
        let kind = Kind::Model {
            model: index,
            together: false,
            function: None,
        };
        let mut made = node(&spec.name, kind);
        made.retry_attempts = model.settings.retry_attempts;
        made.timeout = Some(milliseconds(model.settings.timeout_ms));
        made.output = model.output.clone();
        made.inputs = self.inputs(spec, only_input(&model.inputs), report);
        to_declared(
            &model.inputs,
            &model.name.value,
            &mut made,
            in_place(spec),
            report,
        );
        made
    }

    fn call_function(&mut self, spec: &'a NodeSpec, found: Found<'a>, report: &mut Report) -> Node {
        let about = found.native.about();
        let mut made = node(&spec.name, unknown());
        let only = only_port(found.native.as_ref()).or(about.open.then_some("body"));
        made.inputs = match (only, &spec.inputs) {
            (Some(only), _) => self.inputs(spec, only, report),
            (None, None) => Vec::new(),
            (None, Some(InputsSpec::Named(_))) => self.inputs(spec, "", report),
            (None, Some(InputsSpec::One(given))) => {
                let at = About::at(given.place).node(&spec.name.value).field("in");
                report.error(at, format!("`{}` takes no input", about.name));
                Vec::new()
            }
        };
        // A function that takes anything keeps the name of what it is given.
        if about.inputs.is_empty()
            && let [only] = made.inputs.as_mut_slice()
            && let Some(InputsSpec::One(At {
                value: Given::Reference(name),
                ..
            })) = &spec.inputs
        {
            only.name = name.rsplit('.').next().unwrap_or_default().to_owned();
        }
        to_ports(&found, &mut made, in_place(spec), report);
        let ports = |name: &str| about.inputs.iter().any(|port| port.name == name);
        let parameter = |name: &str| {
            about
                .parameters
                .iter()
                .any(|parameter| parameter.name == name)
        };
        let later: Vec<&str> = made
            .inputs
            .iter()
            .map(|bind| bind.name.as_str())
            .filter(|name| !about.open && !ports(name) && parameter(name))
            .collect();
        let bound = found.bind(
            &spec.name.value,
            spec.name.place,
            spec.with.as_ref(),
            &later,
            report,
        );
        made.kind = Kind::Function {
            name: about.name.to_owned(),
            bound,
        };
        made
    }

    /// A `foreach` or a gather.
    fn over(
        &mut self,
        spec: &'a NodeSpec,
        kind: Kind,
        of: &At<String>,
        field: &str,
        report: &mut Report,
    ) -> Node {
        let mut made = node(&spec.name, kind);
        let at = About::at(of.place).node(&spec.name.value).field(field);
        let from = self.names.reference(&of.value, at, report);
        made.inputs = vec![bind("", of.place, from)];
        made
    }

    /// One of which nothing is known but what it takes.
    fn broken(&mut self, spec: &'a NodeSpec, report: &mut Report) -> Node {
        let mut made = node(&spec.name, unknown());
        if spec.inputs.is_some() {
            made.inputs = self.inputs(spec, "", report);
        }
        made
    }

    /// What stands under `in:`; where nothing does, the payload.
    fn inputs(&mut self, spec: &NodeSpec, only: &str, report: &mut Report) -> Vec<Bind> {
        let name = &spec.name.value;
        let mut binds = Vec::new();
        let mut add = |input: &str, given: &At<Given>, field: &str, report: &mut Report| {
            let at = About::at(given.place).node(name).field(field);
            let from = self.names.given(&given.value, at, report);
            binds.push(bind(input, given.place, from));
        };
        match &spec.inputs {
            None => binds.push(bind(only, spec.name.place, Source::Request)),
            Some(InputsSpec::One(given)) => add(only, given, "in", report),
            Some(InputsSpec::Named(named)) => {
                for (key, given) in named {
                    add(&key.name, given, &format!("in.{}", key.name), report);
                }
            }
        }
        binds
    }

    fn condition(&mut self, spec: &NodeSpec, made: &mut Node, report: &mut Report) {
        let Some(when) = &spec.when else { return };
        let at = About::at(when.place).node(&spec.name.value).field("when");
        match Parsed::parse(&when.value) {
            Err(message) => report.error(at, message),
            Ok(parsed) => {
                let names = self.names;
                made.when =
                    Some(parsed.resolve(when.place, |text| names.reference(text, at, report)));
            }
        }
    }
}

fn in_place(spec: &NodeSpec) -> Place {
    match &spec.inputs {
        Some(InputsSpec::One(given)) => given.place,
        Some(InputsSpec::Named(named)) => {
            named.first().map_or(spec.name.place, |(key, _)| key.place)
        }
        None => spec.name.place,
    }
}
