// The schemas of a segment as validators (JSON Schema, draft 2020-12), compiled once a configuration.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { LONGEST_MATCHED, schemaProblem } from '../../../operator/api/schema-bounds.ts';
import { Refused } from '../errors.ts';
import { fits } from './topic.ts';

export type Schemas = {
  /** All of those whose filter fits the topic, as one question. Undefined when there are none. */
  of(topic: string): ((m: unknown) => boolean) | undefined;
};

type Validator = { filter: string; validate: (m: unknown) => boolean };

/** Throws `Refused` HR-GW-312, which names the topic and never what stands in the schema. */
export function compileSchemas(schemas: readonly { topic: string; schema: object }[]): Schemas {
  const validators = schemas.map(({ topic, schema }): Validator => ({ filter: topic, validate: compile(topic, schema) }));
  return {
    of(topic) {
      const all = validators.filter(({ filter }) => fits(topic, filter)).map(({ validate }) => validate);
      const [only] = all;
      return all.length < 2 ? only : (m) => all.every((validate) => validate(m));
    },
  };
}

function compile(topic: string, schema: object): Validator['validate'] {
  const problem = schemaProblem(schema);
  if (problem !== undefined) throw new Refused('HR-GW-312', undefined, `${topic}: ${problem}`);
  try {
    // One for each schema: what one defines by $id is nothing to another.
    const ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false, ownProperties: true, code: { regExp: matcher } });
    const validate = ajv.compile(schema);
    return (m) => {
      try {
        return validate(m) === true;
      } catch {
        // The stack ended: no schema of ours goes so deep.
        return false;
      }
    };
  } catch (error) {
    throw new Refused('HR-GW-312', error, topic);
  }
}

/** see operator/api/schema-bounds.ts: the number of steps is bounded for texts of this length. */
const matcher = Object.assign(
  (pattern: string, flags: string) => {
    const expression = new RegExp(pattern, flags);
    // By its text the compiler tells one pattern from another.
    return { test: (text: string) => text.length <= LONGEST_MATCHED && expression.test(text), toString: () => String(expression) };
  },
  { code: 'new RegExp' },
);
