"""What can be wrong with metrics, each an error of the kind that Python has for it."""


class _Message:
    message: str

    def __init__(self, message):
        self.message = message
        super().__init__(message)


class GeneralMetricsCacheError(_Message, Exception):
    pass


class MetricsCacheIOError(_Message, OSError):
    pass


class MetricsCachePyYamlError(_Message, ValueError):
    """The file is no YAML. TorchServe's is an error of PyYAML, which need not be installed here."""


class MetricsCacheTypeError(_Message, TypeError):
    pass


class MetricsCacheValueError(_Message, ValueError):
    pass


class MetricsCacheKeyError(_Message, KeyError):
    pass
