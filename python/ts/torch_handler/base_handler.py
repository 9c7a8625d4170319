"""The base of handlers: finds and loads the model, and takes a batch through preprocess, inference and postprocess.

torch is imported when it is needed, so that a handler which overrides what needs it runs without.
"""

import abc
import importlib
import importlib.util
import logging
import os
import time
from typing import Any, Optional

from ts.handler_utils.timer import timed
from ts.utils.util import check_valid_pt2_backend, list_classes_from_module, load_label_mapping

from ._rows import payload

logger = logging.getLogger(__name__)


class BaseHandler(abc.ABC):
    """One handler of one worker. `initialize` is called once, `handle` for each batch."""

    def __init__(self):
        self.model: Any = None
        self.mapping: Optional[dict] = None
        self.device: Any = None
        self.initialized = False
        self.context: Any = None
        self.model_pt_path: Optional[str] = None
        self.manifest: Optional[dict] = None
        self.map_location: Optional[str] = None
        self.explain = False
        self.target = 0
        self.profiler_args: dict = {}

    def initialize(self, context) -> None:
        """Loads the model of the archive onto its device, and the labels of its classes.

        Raises what loading raises; ValueError where the archive's files do not fit each other.
        """
        self.context = context
        properties = context.system_properties
        self.manifest = context.manifest or {}
        model_dir = properties.get("model_dir")
        gpu = properties.get("gpu_id")
        self.map_location, self.device = _device(gpu)
        model = self.manifest.get("model", {})
        if model.get("serializedFile"):
            self.model_pt_path = os.path.join(model_dir, model["serializedFile"])
        if model.get("modelFile"):
            logger.info("Loading an eager model")
            self.model = self._load_pickled_model(model_dir, model["modelFile"], self.model_pt_path)
        else:
            self.model = self._load_file()
        if hasattr(self.model, "to") and hasattr(self.model, "eval") and not _is_package(self.model_pt_path):
            self.model.to(self.device)
            self.model.eval()
        self._compile()
        self.mapping = load_label_mapping(os.path.join(model_dir, "index_to_name.json"))
        self.initialized = True

    @timed
    def preprocess(self, data):
        """Rows to a tensor: what handlers override first."""
        import torch

        return torch.as_tensor(data, device=self.device)

    @timed
    def inference(self, data, *args, **kwargs):
        """The network's answer to a tensor."""
        if hasattr(self.model, "get_inputs"):
            return _run_onnx(self.model, data)
        import torch

        with torch.inference_mode():
            return self.model(data.to(self.device), *args, **kwargs)

    @timed
    def postprocess(self, data):
        """The network's answer as a list with one element for each row."""
        return data.tolist()

    def handle(self, data, context):
        """One batch: the three steps, or an explanation, or a description, as its headers ask."""
        started = time.perf_counter()
        self.context = context
        if self._is_describe():
            output = [self.describe_handle()]
        elif os.environ.get("ENABLE_TORCH_PROFILER"):
            output, _ = self._infer_with_profiler(data=data)
        else:
            prepared = self.preprocess(data)
            if self._is_explain():
                output = self.explain_handle(prepared, data)
            else:
                output = self.postprocess(self.inference(prepared))
        if context.metrics is not None:
            elapsed = round((time.perf_counter() - started) * 1000, 2)
            context.metrics.add_time("HandlerTime", elapsed, None, "ms")
        return output

    def explain_handle(self, data_preprocess, raw_data):
        """What made the network answer as it did; by `get_insights`, which children have."""
        inputs, target = None, 0
        row = raw_data[0]
        if isinstance(row, dict):
            inputs = payload(row)
            target = row.get("target") or 0
        return self.get_insights(data_preprocess, inputs, target)

    def describe_handle(self):
        """What the model says of itself; a dictionary, or None."""
        return None

    def get_device(self):
        return self.device

    def _is_explain(self) -> bool:
        if self.context is not None and self.context.get_request_header(0, "explain") == "True":
            self.explain = True
            return True
        return False

    def _is_describe(self) -> bool:
        return self.context is not None and self.context.get_request_header(0, "describe") == "True"

    def _load_pickled_model(self, model_dir, model_file, model_pt_path):
        """An eager model: the one class of `model_file`, with the state of `model_pt_path`, if there is one."""
        if not os.path.isfile(os.path.join(model_dir, model_file)):
            # Of the kind that the worker answers, as TorchServe's is.
            raise RuntimeError("modelFile %s is not in the archive" % model_file)
        module = importlib.import_module(os.path.splitext(os.path.basename(model_file))[0])
        classes = list_classes_from_module(module)
        if len(classes) != 1:
            names = [found.__name__ for found in classes]
            raise ValueError("modelFile %s must have one class, found %d: %s" % (model_file, len(classes), names))
        model = classes[0]()
        if model_pt_path:
            import torch

            model.load_state_dict(torch.load(model_pt_path, map_location=self.device))
        return model

    def _load_torchscript_model(self, model_pt_path):
        import torch

        return torch.jit.load(model_pt_path, map_location=self.device)

    def _load_torch_export_aot_compile(self, model_so_path):
        """A model that was compiled ahead of time, as a library."""
        import torch

        return torch._export.aot_load(model_so_path, self.device.type)

    def _use_torch_export_aot_compile(self) -> bool:
        export = self._pt2().get("export")
        return bool(isinstance(export, dict) and export.get("aot_compile"))

    def _load_file(self):
        """A model that is whole in its file, by the file's suffix."""
        path = self.model_pt_path
        if path is None:
            raise ValueError("the archive has neither a serializedFile nor a modelFile")
        if not os.path.isfile(path):
            raise FileNotFoundError("serializedFile %s is not in the archive" % os.path.basename(path))
        suffix = os.path.splitext(path)[1]
        if suffix == ".onnx":
            return setup_ort_session(path, self.map_location)
        if suffix == ".so":
            return self._load_torch_export_aot_compile(path)
        if suffix == ".pt2":
            import torch

            return torch._inductor.aoti_load_package(path)
        if suffix in (".pt", ".pth"):
            return self._load_torchscript_model(path)
        raise ValueError("serializedFile %s is of no kind that can be loaded" % os.path.basename(path))

    def _pt2(self) -> dict:
        """The section `pt2` of the model's configuration, whose older forms are a text and a flat dictionary."""
        config = getattr(self.context, "model_yaml_config", None) or {}
        section = config.get("pt2", {})
        if isinstance(section, str):
            return {"compile": {"enable": True, "backend": section}}
        if not isinstance(section, dict):
            return {}
        if "compile" in section or "export" in section or not section:
            return section
        return {"compile": dict(section, enable=True)}

    def _compile(self) -> None:
        options = self._pt2().get("compile") or {}
        if not isinstance(options, dict) or not options.get("enable"):
            return
        options = {key: value for key, value in options.items() if key != "enable"}
        backend = options.get("backend", "inductor")
        if not check_valid_pt2_backend(backend):
            return
        import torch

        try:
            self.model = torch.compile(self.model, **dict(options, backend=backend))
            logger.info("Model is compiled by %s", backend)
        except Exception as error:
            logger.warning("Model is served uncompiled, %s failed: %s", backend, error)

    def _infer_with_profiler(self, data):
        """The three steps under torch's profiler; its table goes to the log, its trace below /tmp/pytorch_profiler."""
        import torch

        arguments = dict(self.profiler_args)
        if "activities" not in arguments:
            activities = [torch.profiler.ProfilerActivity.CPU]
            if torch.cuda.is_available():
                activities.append(torch.profiler.ProfilerActivity.CUDA)
            arguments["activities"] = activities
        arguments.setdefault("record_shapes", True)
        if "on_trace_ready" not in arguments:
            folder = os.path.join("/tmp/pytorch_profiler", self.manifest.get("model", {}).get("modelName", "model"))
            arguments["on_trace_ready"] = torch.profiler.tensorboard_trace_handler(folder)
        with torch.profiler.profile(**arguments) as profile:
            with torch.profiler.record_function("preprocess"):
                prepared = self.preprocess(data)
            if self._is_explain():
                with torch.profiler.record_function("explain"):
                    output = self.explain_handle(prepared, data)
            else:
                with torch.profiler.record_function("inference"):
                    answer = self.inference(prepared)
                with torch.profiler.record_function("postprocess"):
                    output = self.postprocess(answer)
        logger.info("%s", profile.key_averages().table(sort_by="cpu_time_total", row_limit=10))
        return output, profile


def setup_ort_session(model_pt_path, map_location):
    """A session of onnxruntime, on the device for which the model is."""
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    if map_location == "cuda":
        providers.insert(0, "CUDAExecutionProvider")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model_pt_path, sess_options=options, providers=providers)


def _run_onnx(session, data):
    """A session's answer as a tensor, or as a list of them where it has several outputs."""
    import torch

    values = data.detach().cpu().numpy() if hasattr(data, "detach") else data
    outputs = session.run(None, {session.get_inputs()[0].name: values})
    tensors = [torch.as_tensor(output) for output in outputs]
    return tensors[0] if len(tensors) == 1 else tensors


def _device(gpu) -> tuple:
    """Where a model goes: the GPU it was given, if there is one, else the best of what else computes."""
    try:
        import torch
    except ImportError:
        return "cpu", None
    if gpu is not None:
        if torch.cuda.is_available():
            return "cuda", torch.device("cuda:%s" % gpu)
        if getattr(getattr(torch, "xpu", None), "is_available", lambda: False)():
            return "xpu", torch.device("xpu:%s" % gpu)
        if getattr(getattr(torch.backends, "mps", None), "is_available", lambda: False)():
            return "mps", torch.device("mps")
    if importlib.util.find_spec("torch_xla") is not None:
        import torch_xla.core.xla_model

        return "cpu", torch_xla.core.xla_model.xla_device()
    return "cpu", torch.device("cpu")


def _is_package(path: Optional[str]) -> bool:
    """Whether a file is compiled for its device already."""
    return path is not None and os.path.splitext(path)[1] in (".pt2", ".so")
