// What the gateway of a site is told: all segments of a namespace that are in force, as one text with the same bytes for the same policies. Pure.
import { type GatewayConfig, MAX_GATEWAY_CONFIG_BYTES } from '../api/gateway-config.ts';
import type { Finding } from './errors.ts';
import type { Model } from './model.ts';
import { canonicalJson } from './selector.ts';

/** A policy that is refused counts with its last good text, one that is gone or was never good not at all: then the gateway takes nothing from its devices. */
export function gatewayConfigOf(model: Model, site: string): { text: string } | { refused: Finding } {
  const segments = [...model.verdicts.values()]
    .flatMap(({ segment }) => (segment?.namespace === site ? [segment.gateway] : []))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const config: GatewayConfig = { version: 1, site, segments };
  const text = canonicalJson(config);
  const bytes = Buffer.byteLength(text);
  if (segments.length <= MOST_SEGMENTS && bytes <= MAX_GATEWAY_CONFIG_BYTES) return { text };
  const found = `${segments.length} segments of namespace ${site} make ${bytes} bytes for its gateway; ${MOST_SEGMENTS} segments and ${MAX_GATEWAY_CONFIG_BYTES} bytes are the most`;
  return { refused: { code: 'HR-SEG-017', path: '', found } };
}

const MOST_SEGMENTS = 512;
