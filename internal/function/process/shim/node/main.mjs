// Runs a JavaScript handler on the Lambda Runtime API as AWS's clients do: functions of Node.js 22 and
// older as their 3.x line, of Node.js 24 and newer as their 4.x line. The runtime's name decides, not
// the version of this Node.js.

import './wait.mjs'; // the first
import { useFallbacks } from './modules.mjs';
import { run as runV3 } from './v3.mjs';
import { run as runV4 } from './v4.mjs';

const major = Number(/^AWS_Lambda_nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV)?.[1]);
useFallbacks();
if (major >= 24) runV4();
else runV3();
