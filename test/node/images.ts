// The images of the node test: files on their way into both containerds.
import { join } from 'node:path';
import { LAB_DIR } from './layout.ts';

export const IMAGES = {
  podtool: { reference: 'hedgerow.test/podtool:1', file: join(LAB_DIR, 'podtool.tar') },
  hedgerow: { reference: 'hedgerow.test/hedgerow:test', file: join(LAB_DIR, 'hedgerow.tar') },
} as const;
