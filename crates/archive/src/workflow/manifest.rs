//! `WAR-INF/MANIFEST.json`: which file is the spec, and what the workflow is called.

use serde_json::{Map, Value};

use crate::error::one_line;
use crate::members::{Members, put};

/// Where the manifest lies in a workflow archive.
pub const WORKFLOW_MANIFEST: &str = "WAR-INF/MANIFEST.json";

/// TorchServe's word for a manifest that says nothing of a workflow.
pub(crate) const MISSING_ENTRY: &str = "Missing Workflow entry in manifest file.";

/// A workflow's description of itself. File names are relative to the archive's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowManifest {
    /// When the archive was packed, as its archiver wrote it.
    pub created_on: String,
    /// Version of the tool that packed it.
    pub archiver_version: String,
    /// `workflowName`; only whoever gives the workflow a name does without.
    pub workflow_name: Option<String>,
    /// `workflowVersion`, which is ours: TorchServe's workflows have no versions.
    pub workflow_version: Option<String>,
    /// `specFile`: the YAML of the graph.
    pub spec_file: String,
    /// `handler`: a Python file with the functions of a classic graph.
    pub handler: Option<String>,
}

impl WorkflowManifest {
    /// Reads a manifest; `named` says that the workflow has a name already. An error is one line, in TorchServe's words
    /// where something is missing; it does not name the archive.
    pub(crate) fn from_json(text: &[u8], named: bool) -> Result<Self, String> {
        let placed = |error: String| format!("{WORKFLOW_MANIFEST}: {error}");
        let document =
            serde_json::from_slice::<Value>(text).map_err(|error| placed(one_line(error)))?;
        let mut whole = Members::new(document, "").map_err(placed)?;
        let entry = whole.take("workflow").ok_or(MISSING_ENTRY)?;
        let mut workflow = Members::new(entry, "workflow.").map_err(placed)?;
        let workflow_name = workflow.text("workflowName").map_err(placed)?;
        if workflow_name.is_none() && !named {
            return Err("Workflow name is not defined.".to_owned());
        }
        let archiver_version = whole
            .text("archiverVersion")
            .map_err(placed)?
            .ok_or("Workflow archive version is not defined.")?;
        let created_on = whole
            .text("createdOn")
            .map_err(placed)?
            .ok_or("Workflow archive createdOn is not defined.")?;
        Ok(WorkflowManifest {
            created_on,
            archiver_version,
            workflow_name,
            workflow_version: workflow.text("workflowVersion").map_err(placed)?,
            spec_file: workflow
                .text("specFile")
                .map_err(placed)?
                .ok_or_else(|| placed("member \"workflow.specFile\" is missing".to_owned()))?,
            handler: workflow.text("handler").map_err(placed)?,
        })
    }

    /// The manifest as its file's text: members in TorchServe's order, absent ones left out, indented by two.
    pub fn to_json(&self) -> String {
        let mut workflow = Map::new();
        put(&mut workflow, "workflowName", self.workflow_name.as_deref());
        let version = self.workflow_version.as_deref();
        put(&mut workflow, "workflowVersion", version);
        put(&mut workflow, "specFile", Some(&self.spec_file));
        put(&mut workflow, "handler", self.handler.as_deref());
        let mut whole = Map::new();
        put(&mut whole, "createdOn", Some(&self.created_on));
        whole.insert("workflow".to_owned(), Value::Object(workflow));
        put(&mut whole, "archiverVersion", Some(&self.archiver_version));
        format!("{:#}", Value::Object(whole))
    }
}
