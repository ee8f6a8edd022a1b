/** Creates the source for a store's URL. It is the only place that knows all kinds of stores. */
import type { BlobSource } from './blob-source.js'
import { FileBlobSource } from './file-blob-source.js'
import { HttpBlobSource, type HttpBlobSourceModules } from './http-blob-source.js'
import type { HttpLimits } from './content-limits.js'
import { storeUrlFromString } from './store-url.js'

/** Throws `invalid-argument` for a URL that does not name a store. The caller closes the source. */
export function sourceFromUrl(
  options: { url: string; limits?: Partial<HttpLimits> | undefined },
  modules: HttpBlobSourceModules,
): BlobSource {
  const url = storeUrlFromString(options.url)
  switch (url.kind) {
    case 'file':
      return FileBlobSource.create({ url })
    case 'registry':
    case 'static':
      return HttpBlobSource.create({ url, limits: options.limits }, modules)
  }
}
