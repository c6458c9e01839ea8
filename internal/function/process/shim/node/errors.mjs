// Error documents.

// errorClass makes the clients' own errors, whose names begin with Runtime.
export function errorClass(name) {
  const made = { [name]: class extends Error {} }[name];
  Object.defineProperty(made.prototype, 'name', { value: `Runtime.${name}`, writable: true, enumerable: false, configurable: true });
  return made;
}

export const ImportModuleError = errorClass('ImportModuleError');
export const HandlerNotFound = errorClass('HandlerNotFound');
export const MalformedHandlerName = errorClass('MalformedHandlerName');
export const UserCodeSyntaxError = errorClass('UserCodeSyntaxError');
export const MalformedStreamingHandler = errorClass('MalformedStreamingHandler');
export const InvalidStreamingOperation = errorClass('InvalidStreamingOperation');

export const unreadable = 'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack';

// withoutDelete writes the character that may not stand in a header as AWS's clients do.
export function withoutDelete(text) {
  return text.replaceAll('\x7f', '%7F');
}

// logged is the form in which an error follows its label in a text log.
export function logged(error, document) {
  try {
    return `\t${JSON.stringify(error, (key, value) => {
      if (!(value instanceof Error)) return value;
      const shown = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
      if (typeof value.stack === 'string') shown.stack = value.stack.split('\n');
      return shown;
    })}`;
  } catch {
    return `\t${JSON.stringify(document(error))}`;
  }
}

// causeHeader tells X-Ray where an error came from.
export function causeHeader(error) {
  try {
    const stack = String(error.stack ?? '').split('\n').slice(1).map((line) => {
      const at = line.trim().replace(/[()]/g, '').replace(/^\S*\s/, '');
      const space = at.lastIndexOf(' ');
      const [path, number] = at.slice(space + 1).split(':');
      return { path, line: parseInt(number, 10), label: space > 0 ? at.slice(0, space) : 'anonymous' };
    });
    const cause = withoutDelete(JSON.stringify({
      working_directory: process.cwd(),
      exceptions: [{ type: error.name, message: error.message, stack }],
      paths: [...new Set(stack.map((entry) => entry.path))],
    }));
    return cause.length < 1 << 20 ? `lambda-runtime-function-xray-error-cause: ${cause}\r\n` : '';
  } catch {
    return '';
  }
}
