// A function that OpenTelemetry instruments from outside.
exports.handler = async () => 'done';
