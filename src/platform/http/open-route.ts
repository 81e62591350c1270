import { SetMetadata } from '@nestjs/common';

/** The metadata by which the global guard knows who may call a route: a list of scopes, or `public`. */
export const accessRule = 'lectern:access';

/** Opens a route to everybody: health, and hooks whose signature is the credential. */
export const Public = () => SetMetadata(accessRule, 'public');
