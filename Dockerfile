# A static binary and nothing else. Functions are processes of this image, so
# `provided.*` functions (Go, Rust) run in it; for Python or Node functions build
# on an image that has python3 or node instead of the last stage.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=container
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /millstream ./cmd/millstream \
 && mkdir /data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /millstream /millstream
COPY --from=build --chown=nonroot:nonroot /data /data
VOLUME /data
EXPOSE 8000
ENV MILLSTREAM_DATA=/data
# A container's port is reached from outside its loopback, so serve asks for
# --insecure-listen: whoever reaches the port can run code in this container, since
# CreateFunction starts processes. Publish it to this machine only:
#
#   docker run -p 127.0.0.1:8000:8000 -v millstream:/data millstream
ENTRYPOINT ["/millstream"]
CMD ["serve", "--listen", "0.0.0.0:8000", "--insecure-listen"]
