import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';

const uploadBody = {
  content: {
    'multipart/form-data': {
      schema: {
        type: 'object',
        properties: {
          preview: { type: 'string', enum: ['true', 'false'] },
          approve: { type: 'string', enum: ['true', 'false'] },
          file: { type: 'string', contentMediaType: 'text/csv' },
        },
        required: ['file'],
      },
    },
    'application/json': {
      schema: {
        type: 'object',
        properties: { preview: { type: 'boolean', default: false }, approve: { type: 'boolean', default: false } },
        additionalProperties: false,
      },
    },
  },
};

/** OpenAPI 3.1, from the same schemas that check requests and answers. */
export function openApi(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Muster',
        version,
        description:
          'Learner groups and course subscriptions, kept true to HR. Errors are problem documents (RFC 9457). Lists give `next`: the `cursor` of the page after. Writes take an `Idempotency-Key`; edits of groups and learners take `If-Match` with the `ETag` that was read.',
      },
      servers: [],
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer', description: 'An API key' },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: 'muster_session',
            description: 'A session after log-in; its writes bear x-csrf-token',
          },
        },
      },
      security: [{ key: [] }, { session: [] }],
    },
    transform: (given) => {
      const { schema, url } = jsonSchemaTransform(given);
      const method = String(given.route.method).toLowerCase();
      const operationId = [method, ...url.split('/').slice(3)]
        .map((part) => part.replace(/^:/, '').replace(/[^a-z]/gi, ''))
        .join('-');
      // Without a rule of access a route is there for everybody.
      const open = given.route.config?.access === undefined;
      return { schema: { ...schema, operationId, ...(open && { security: [] }) }, url };
    },
    transformObject: (given) => {
      const document = 'openapiObject' in given ? given.openapiObject : given.swaggerObject;
      const upload = document.paths?.['/api/v1/feeds/{feed}/runs']?.post as Record<string, unknown> | undefined;
      if (upload) upload.requestBody = uploadBody;
      return document;
    },
  };
}
