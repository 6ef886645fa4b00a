import * as z from 'zod';
import { cause } from './envelope.ts';
import { instant } from './json.ts';
import { computeEnd, duePurpose, status, terminalStatus } from './task.ts';
import { savedWork } from './task-result.ts';
