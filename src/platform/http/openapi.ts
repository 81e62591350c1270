import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';

/** The API page at `/docs` and its description at `/docs-json`. */
export function serveOpenApi(app: INestApplication): void {
  const description = new DocumentBuilder()
    .setTitle('Lectern')
    .setDescription(
      'Documents go in, cited answers come out, to people who may see them. Errors are RFC 9457 problem+json with a stable `code`. ' +
        'Offsets (`start`, `end`) are half-open and count UTF-16 code units, as JavaScript strings do.',
    )
    .setVersion('1')
    .addBearerAuth()
    .build();
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, description), {
    jsonDocumentUrl: 'docs-json',
  });
}
