// ValidatingAdmissionPolicies: what a CRD's own CEL cannot see, that is namespace, user and namespace labels. Pure; scripts/generate.ts writes the result.
import { celString, structural } from './crd.ts';
import { deviceKind } from './device.ts';
import type { ApiCode } from './errors.ts';
import { firmwareWaveKind } from './firmware-wave.ts';
import type { KindDefinition } from './kind.ts';
import {
  ANNOTATION_FACTORY_KEY,
  ANNOTATION_MANUFACTURER_CA,
  ANNOTATION_REGISTERED_BY,
  ANNOTATION_REGISTRATION,
  AUTOMATIC_SUFFIX,
  DEFAULT_MAX_TRUST,
  LABEL_MAX_TRUST,
  LABEL_ORIGIN,
  LABEL_PATTERN,
  MAX_LABEL,
  MAX_WIRE_NAME,
  ORIGIN_JIT,
} from './names.ts';
import {
  API_VERSION,
  CERTIFICATE_LEDGERS,
  CONFIG_MAPS,
  DEVICES,
  FIRMWARE_RELEASES,
  FIRMWARE_WAVES,
  GROUP,
  INTERVENTIONS,
  SEGMENT_POLICIES,
} from './resources.ts';

type Operation = 'CREATE' | 'UPDATE' | 'DELETE';
type Validation = { expression: string; code: ApiCode; message: string; messageExpression?: string };
type Policy = {
  name: string;
  /** Group and version of the resources; default: ours. */
  of?: { group: string; version: string };
  resources: string[];
  operations: Operation[];
  variables?: { name: string; expression: string }[];
  validations: Validation[];
};

/** User name of the operator where the manifests in crds/ are applied as they stand; the chart puts its own in its place. */
export const DEFAULT_OPERATOR_USER = 'system:serviceaccount:hedgerow-system:hedgerow';

/** The account of the drivers of rollouts, by the name that the chart gives it. */
const rolloutUser = (operatorUser: string): string => `${operatorUser}-rollout`;

const CURE = 'shorten the name or the namespace: it becomes the CN or OU of certificates';

/** Names on the wire. Checked on every write, because a Device may name another segment later. */
const names: Policy = {
  name: 'hedgerow-names',
  resources: [DEVICES.plural, SEGMENT_POLICIES.plural],
  operations: ['CREATE', 'UPDATE'],
  validations: [
    {
      code: 'HR-API-002',
      expression: `object.metadata.name.matches(${celString(LABEL_PATTERN)})`,
      message: `metadata.name must be an RFC 1123 label of at most ${MAX_LABEL} characters: use a-z, 0-9 and - only, and start and end with a letter or digit (a dot would separate name and namespace in the certificate)`,
    },
    {
      code: 'HR-API-002',
      expression: `object.metadata.namespace.matches('^[a-z0-9-]{1,${MAX_LABEL}}$')`,
      message: `the namespace has more than ${MAX_LABEL} characters: use a namespace with a shorter name`,
    },
    tooLong('metadata.name', 'object.metadata.name'),
    // A SegmentPolicy has no such field: without dyn() the API server would warn of a mistake of types.
    tooLong('spec.segment', 'dyn(object.spec).segment', `object.kind != ${celString(DEVICES.kind)} || `),
  ],
};

/** What a SegmentPolicy may grant depends on the namespace it stands in. */
const segments: Policy = {
  name: 'hedgerow-segments',
  resources: [SEGMENT_POLICIES.plural],
  operations: ['CREATE', 'UPDATE'],
  variables: [
    { name: 'label', expression: `namespaceObject.metadata.?labels[?${celString(LABEL_MAX_TRUST)}]` },
    {
      name: 'maxTrust',
      // A label that is no number gives -1, which closes instead of opening.
      expression: `variables.label.hasValue() ? ['0', '1', '2', '3', '4'].indexOf(variables.label.value()) : ${DEFAULT_MAX_TRUST}`,
    },
    {
      name: 'topics',
      expression: 'object.spec.?topics.?publish.orValue([]).map(t, t.topic) + object.spec.?topics.?subscribe.orValue([]).map(t, t.topic)',
    },
  ],
  validations: [
    {
      code: 'HR-API-014',
      expression: 'object.spec.trust <= variables.maxTrust',
      message: `spec.trust is above what the label ${LABEL_MAX_TRUST} of the namespace allows (without it ${DEFAULT_MAX_TRUST}): lower spec.trust, or ask the administrator of the namespace to set the label to a number of 0 to 4`,
      messageExpression: `'HR-API-014: spec.trust ' + string(object.spec.trust) + ' is above ' + (variables.maxTrust < 0 ? 'nothing, because the label ${LABEL_MAX_TRUST} of the namespace is no number of 0 to 4' : string(variables.maxTrust) + ', which the label ${LABEL_MAX_TRUST} of the namespace allows (without it ${DEFAULT_MAX_TRUST})') + ': lower spec.trust, or ask the administrator of the namespace to set the label to a number of 0 to 4'`,
    },
    {
      code: 'HR-API-004',
      expression: ['agg', 'alert', 'raw']
        .map((word) => `variables.topics.all(t, !t.startsWith('${word}/') || t.startsWith('${word}/' + object.metadata.namespace + '/'))`)
        .join(' && '),
      message: 'topics under agg/, alert/ and raw/ go on with the name of the namespace of the policy: agg/<namespace>/…',
      messageExpression: `'HR-API-004: topics under agg/, alert/ and raw/ belong to one site each: go on with ' + object.metadata.namespace + '/'`,
    },
  ],
};

/** The audit names who did it. The operator's own interventions carry its own name, so there is no exception. */
const interventions: Policy = {
  name: 'hedgerow-interventions',
  resources: [INTERVENTIONS.plural],
  operations: ['CREATE'],
  validations: [
    {
      code: 'HR-API-012',
      expression: 'object.spec.requestedBy == request.userInfo.username',
      message: 'spec.requestedBy must be the user who makes the request (kubectl auth whoami)',
      messageExpression: `'HR-API-012: spec.requestedBy is ' + object.spec.requestedBy + ' but you are ' + request.userInfo.username + ': set spec.requestedBy to ' + request.userInfo.username`,
    },
  ],
};

/** Nobody approves a release of their own: so nobody writes one in the name of somebody else. */
const authors: Policy = {
  name: 'hedgerow-authors',
  resources: [FIRMWARE_RELEASES.plural],
  operations: ['CREATE', 'UPDATE'],
  validations: [
    {
      code: 'HR-API-028',
      expression:
        "(request.operation == 'UPDATE' && object.spec == oldObject.spec) || object.spec.?author.orValue(request.userInfo.username) == request.userInfo.username",
      message: 'spec.author must be the user who makes the release or changes its spec (kubectl auth whoami)',
      messageExpression: `'HR-API-028: spec.author is ' + object.spec.author + ' but you are ' + request.userInfo.username + ': set spec.author to ' + request.userInfo.username`,
    },
  ],
};

/** A driver talks with devices: it says what became of them, and nothing else of a Device or a wave (docs/adr/0031-driver-rights.md). */
function driver(operatorUser: string, { resource, status }: KindDefinition, own: string): Policy {
  const others = Object.keys(structural(status).properties ?? {}).filter((field) => field !== own);
  const isSame = others.map((field) => `object.?status.?${field} == oldObject.?status.?${field}`).join(' && ');
  return {
    name: `hedgerow-driver-${resource.plural}`,
    resources: [`${resource.plural}/status`],
    operations: ['UPDATE'],
    validations: [
      {
        code: 'HR-API-029',
        expression: `request.userInfo.username != ${celString(rolloutUser(operatorUser))} || (${isSame})`,
        message: `a driver of a rollout writes status.${own} and nothing else of a ${resource.kind}: if this was a driver, look into its log`,
      },
    ],
  };
}

/** The operator's own records. Deleting goes on for the garbage collector and in a namespace that is being deleted: nothing of ours may keep a namespace alive. */
function operatorOnly(operatorUser: string): Policy {
  return {
    name: 'hedgerow-operator-only',
    resources: [CERTIFICATE_LEDGERS, FIRMWARE_WAVES].flatMap(({ plural }) => [plural, `${plural}/status`]),
    operations: ['CREATE', 'UPDATE', 'DELETE'],
    variables: [
      { name: 'operator', expression: celString(operatorUser) },
      {
        name: 'counts',
        expression: `request.userInfo.username == ${celString(rolloutUser(operatorUser))} && request.operation == 'UPDATE' && request.resource.resource == ${celString(FIRMWARE_WAVES.plural)} && request.?subResource.orValue('') == 'status'`,
      },
      {
        name: 'cleaningUp',
        expression:
          "request.operation == 'DELETE' && (namespaceObject.metadata.?deletionTimestamp.hasValue() || request.userInfo.username in ['system:serviceaccount:kube-system:generic-garbage-collector', 'system:serviceaccount:kube-system:namespace-controller', 'system:kube-controller-manager'])",
      },
    ],
    validations: [
      {
        code: 'HR-API-013',
        expression: 'request.userInfo.username == variables.operator || variables.cleaningUp || variables.counts',
        message: 'CertificateLedger and FirmwareWave are written by the operator only: act on the Device or make an Intervention',
        messageExpression: `'HR-API-013: ' + request.resource.resource + ' are written by the operator only (' + variables.operator + '): act on the Device or make an Intervention; to restore a backup use kubectl --as=' + variables.operator`,
      },
    ],
  };
}

/** The one thing that the operator may create of what people write: a Device that stands for a factory certificate, and says so (docs/adr/0011-just-in-time.md). */
function registration(operatorUser: string): Policy {
  const annotated = [ANNOTATION_REGISTERED_BY, ANNOTATION_MANUFACTURER_CA, ANNOTATION_FACTORY_KEY, ANNOTATION_REGISTRATION]
    .map((annotation) => `${celString(annotation)} in object.metadata.annotations`)
    .join(' && ');
  const conditions = [
    `object.metadata.?labels[?${celString(LABEL_ORIGIN)}].orValue('') == ${celString(ORIGIN_JIT)}`,
    `has(object.metadata.annotations) && ${annotated}`,
    "object.spec.identity.enrollment == 'EST' && object.spec.identity.?est.?bootstrap.orValue('') == 'Manufacturer'",
    "object.spec.?hardware.?serial.orValue('') != ''",
    "object.spec.lifecycle == 'Active' && !has(object.spec.grants) && !has(object.spec.identity.issuerRef)",
  ];
  return {
    name: 'hedgerow-registration',
    resources: [DEVICES.plural],
    operations: ['CREATE'],
    validations: [
      {
        code: 'HR-API-021',
        expression: `request.userInfo.username != ${celString(operatorUser)} || (${conditions.join(' && ')})`,
        message:
          'the operator makes no Devices but those that enrol by a factory certificate and say which one: apply the manifest as yourself; if this was the operator itself, somebody else acts in its name',
      },
    ],
  };
}

/** The one thing that the operator does without a person: a device above its limits goes to quarantine, and nobody to worse (docs/adr/0024-limits-measured.md). */
function automatic(operatorUser: string): Policy {
  const isQuarantine = "object.spec.target.kind == 'Device' && object.spec.action == 'Quarantine'";
  return {
    name: 'hedgerow-automatic',
    resources: [INTERVENTIONS.plural],
    operations: ['CREATE'],
    validations: [
      {
        code: 'HR-API-027',
        expression: `request.userInfo.username != ${celString(operatorUser)} || (${isQuarantine} && object.metadata.name == object.spec.target.name + ${celString(AUTOMATIC_SUFFIX)})`,
        message:
          'the operator makes no Interventions but a Quarantine of a Device that is above its limits: make the Intervention as yourself; if this was the operator itself, somebody else acts in its name',
      },
    ],
  };
}

/**
 * RBAC has no patterns for names: of the ConfigMaps that the operator may write in its own namespace this leaves those that are its own. What it writes of each release
 * is named after the release's uid, and it may take nothing else away.
 */
function catalogs(operatorUser: string): Policy {
  const user = 'request.userInfo.username';
  const fixed = ['hedgerow-ca-bundle', 'hedgerow-firmware-roots', 'hedgerow-gateway'].map(celString).join(', ');
  const kept = `request.name in [${fixed}] || request.name.startsWith('hedgerow-out-of-touch-') || request.name == ${user}.split(':')[3] + '-trust'`;
  return {
    name: 'hedgerow-catalogs',
    of: { group: CONFIG_MAPS.group, version: CONFIG_MAPS.version },
    resources: [CONFIG_MAPS.plural],
    operations: ['UPDATE', 'DELETE'],
    validations: [
      {
        code: 'HR-API-030',
        expression: `${user} != ${celString(operatorUser)} || request.name.startsWith('hedgerow-release-') || (request.operation == 'UPDATE' && (${kept}))`,
        message:
          'the operator changes no ConfigMap but its own: change this one as yourself; if this was the operator itself, somebody else acts in its name',
      },
    ],
  };
}

/** Policies and their bindings, in the order of their files: file name without extension → the two objects. */
export function admissionOf(operatorUser: string): Map<string, object[]> {
  return new Map(
    [
      ...[names, segments, interventions, authors],
      ...[operatorOnly, registration, automatic, catalogs].map((policy) => policy(operatorUser)),
      driver(operatorUser, deviceKind, 'firmware'),
      driver(operatorUser, firmwareWaveKind, 'shards'),
    ].map((policy) => [policy.name, [policyObject(policy), binding(policy)]]),
  );
}

function policyObject(policy: Policy): object {
  const { group, version } = policy.of ?? { group: GROUP, version: API_VERSION.slice(GROUP.length + 1) };
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: policy.name },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [
          { apiGroups: [group], apiVersions: [version], operations: policy.operations, resources: policy.resources, scope: 'Namespaced' },
        ],
      },
      ...(policy.variables === undefined ? {} : { variables: policy.variables }),
      validations: policy.validations.map(({ code, message, ...rest }) => ({ ...rest, message: `${code}: ${message}`, reason: 'Invalid' })),
    },
  };
}

function binding(policy: Policy): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: policy.name },
    spec: { policyName: policy.name, validationActions: ['Deny'] },
  };
}

function tooLong(path: string, value: string, unless = ''): Validation {
  const wire = `(${value} + '.' + object.metadata.namespace)`;
  return {
    code: 'HR-API-002',
    expression: `${unless}${wire}.size() <= ${MAX_WIRE_NAME}`,
    message: `${path} and namespace together have more than ${MAX_WIRE_NAME - 1} characters: ${CURE}`,
    messageExpression: `'HR-API-002: ' + ${wire} + ' has ' + string(${wire}.size()) + ' characters, the limit is ${MAX_WIRE_NAME}: ${CURE}'`,
  };
}
