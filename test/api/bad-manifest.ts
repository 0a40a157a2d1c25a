// The shape of the tables of bad manifests.
import type { Manifest } from './server.ts';

/**
 * What is wrong, the manifest, and all that the API server says to it: `<field>: <message>`, or the message alone where an admission policy judges the whole.
 * `onlyServer`: it takes the API server to see it (CEL across fields, admission policies); the others operator/api/validate.ts refuses too.
 */
export type BadManifest = readonly [sentence: string, manifest: Manifest, problems: readonly string[], onlyServer?: 'onlyServer'];
