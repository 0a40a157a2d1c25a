// What one kind is made of; crd.ts turns it into a CustomResourceDefinition, and the type of its objects is derived from the same schemas.
import type { Static, TSchema } from 'typebox';
import type { ObjectMeta, ResourceType } from './meta.ts';
import type { Rule } from './schema.ts';

/** An additional printer column: what `kubectl get` shows. `wide` = only with `-o wide`. */
export type Column = { name: string; type: 'string' | 'integer' | 'date'; description: string; jsonPath: string; wide?: true };

export type KindDefinition = {
  resource: ResourceType;
  singular: string;
  shortNames: string[];
  description: string;
  /** `metadata` is the API server's own; CEL rules of the whole object see only its name. */
  spec: TSchema;
  status: TSchema;
  columns: Column[];
  /** Fields that `--field-selector` can name; strings only. */
  selectable?: string[];
  rules?: Rule[];
};

/** An object of a kind: what is written (`status` absent) and what is read. */
export type KindObject<Spec extends TSchema, Status extends TSchema> = {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec: Static<Spec>;
  status?: Static<Status>;
};

export function conditionColumn(name: string, type: string, field: 'status' | 'reason' | 'message', description: string): Column {
  return { name, type: 'string', description, jsonPath: `.status.conditions[?(@.type=="${type}")].${field}` };
}

export const AGE: Column = {
  name: 'Age',
  type: 'date',
  description: 'Time since the object was made.',
  jsonPath: '.metadata.creationTimestamp',
};
