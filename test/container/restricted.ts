/** Whether the pods of a rendered kustomization are what Pod Security calls "restricted", name their images by digest, and what else container/README.md promises. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

const Container = z.object({
  name: z.string(),
  image: z.string().regex(/@sha256:[0-9a-f]{64}$/),
  securityContext: z.object({
    runAsUser: z.int().min(1),
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
  }),
  resources: z.object({ limits: z.object({ memory: z.string() }), requests: z.object({ cpu: z.string(), memory: z.string() }) }),
  volumeMounts: z.array(z.object({ name: z.string() })),
});
const Pod = z.object({
  automountServiceAccountToken: z.literal(false),
  securityContext: z.object({
    runAsNonRoot: z.literal(true),
    fsGroup: z.int(),
    seccompProfile: z.object({ type: z.literal('RuntimeDefault') }),
  }),
  containers: z.array(Container).length(2),
  volumes: z.array(z.object({ name: z.string(), secret: z.object({ secretName: z.string(), defaultMode: z.literal(0o440) }).optional() })),
});

const objects = parseAllDocuments(readFileSync(process.argv[2] ?? '', 'utf8')).map((document) => z.unknown().parse(document.toJS()));
const named = z
  .array(z.object({ kind: z.string(), metadata: z.object({ name: z.string(), namespace: z.literal('mediator') }) }))
  .parse(objects);
assert.deepEqual(named.map(({ kind }) => kind).sort(), ['ConfigMap', 'Deployment', 'NetworkPolicy', 'Secret', 'Secret']);

const deployment = objects[named.findIndex(({ kind }) => kind === 'Deployment')];
const { volumes, containers } = z.object({ spec: z.object({ template: z.object({ spec: Pod }) }) }).parse(deployment).spec.template.spec;
for (const { secret } of volumes)
  assert.ok(secret === undefined || named.some(({ kind, metadata }) => kind === 'Secret' && metadata.name === secret.secretName));
for (const { volumeMounts } of containers) for (const { name } of volumeMounts) assert.ok(volumes.some((volume) => volume.name === name));
